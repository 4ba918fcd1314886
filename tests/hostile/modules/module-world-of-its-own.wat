;; expect: link not-a-policy
;; Carries a custom section that says which world it is of, and lies: no bytes of one.
{{set extra: (@custom "component-type:evil" "\00asm\0d\00\01\00")}}
{{include policy}}
