;; expect: decide ok replicas=3
;; Five thousand conditions inside one another, each with a value.
{{set extra: (func $deep (param i32) (result i32) {{repeat 5000 _: local.get 0 if (result i32) }} i32.const 1 {{repeat 5000 _: else i32.const 2 end }})}}
{{include policy}}
