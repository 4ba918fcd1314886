;; expect: decide ok replicas=3
;; Two thousand loops inside one another with a local each: data flow through all of them.
{{set extra: (func $deep (param i32) {{repeat 2000 _: loop (br_if 0 (local.get 0)) }} {{repeat 2000 _: end }})}}
{{include policy}}
