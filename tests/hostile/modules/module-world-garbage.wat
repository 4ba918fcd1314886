;; expect: link not-a-policy
;; The same with garbage.
{{set extra: (@custom "component-type" "{{repeat 1000 _: \ff}}")}}
{{include policy}}
