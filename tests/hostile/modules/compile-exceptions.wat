;; expect: compile invalid
;; Exceptions, which need a collector.
{{set extra: (tag $t) (func $throws (throw $t))}}
{{include policy}}
