;; expect: decide ok replicas=3
;; One function of a third of a million instructions.
{{set extra: (func $huge (param i32) (result i32) (local.get 0) {{repeat 120000 n: (i32.add (i32.mul (local.get 0) (i32.const {{n}})))}})}}
{{include policy}}
