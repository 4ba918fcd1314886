;; expect: decide ok replicas=3
;; Ten thousand vector operations on live values.
{{set extra: (func $v (param v128) (result v128) (local.get 0) {{repeat 10000 _: (i8x16.swizzle (local.get 0)) }})}}
{{include policy}}
