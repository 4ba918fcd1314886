;; expect: link not-a-policy
;; A function whose body is longer than a function may be.
{{set extra: (func $huge {{repeat 8000000 _: nop }})}}
{{include policy}}
