;; expect: decide stack bounds=stack
;; A function that calls itself for ever.
{{set extra: (func $deep (call $deep))}}
{{set decide: (call $deep)}}
{{include policy}}
