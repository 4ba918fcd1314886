;; expect: decide ok replicas=3
;; Ten thousand blocks inside one another.
{{set extra: (func $deep {{repeat 10000 _: block }} {{repeat 10000 _: end }})}}
{{include policy}}
