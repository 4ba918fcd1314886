;; expect: decide ok replicas=3
;; Fifty thousand data segments over one another.
{{set extra: {{repeat 50000 _: (data (i32.const 4096) "x")}}}}
{{include policy}}
