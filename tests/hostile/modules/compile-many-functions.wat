;; expect: decide ok replicas=3
;; Ten thousand functions.
{{set extra: {{repeat 10000 n: (func (param i32) (result i32) (i32.add (local.get 0) (i32.const {{n}})))}}}}
{{include policy}}
