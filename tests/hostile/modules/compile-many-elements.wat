;; expect: decide ok replicas=3
;; Five hundred element segments of a table, two hundred functions each.
{{set extra: (table $t 200 funcref) {{repeat 500 _: (elem (table $t) (i32.const 0) func {{repeat 200 _: $pair }})}}}}
{{include policy}}
