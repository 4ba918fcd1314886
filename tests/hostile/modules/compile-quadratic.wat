;; expect: decide ok replicas=3
;; A function of two thousand table.fill, whose compile time is quadratic: twenty thousand in 200 kB take most of a minute.
{{set extra: (table $t 10 funcref) (func $fills {{repeat 2000 _: (table.fill $t (i32.const 0) (ref.null func) (i32.const 10))}})}}
{{include policy}}
