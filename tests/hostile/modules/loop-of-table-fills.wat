;; expect: decide timeout
;; A table of 20,000 elements filled four thousand times in a straight line.
{{set extra: (table $t 20000 20000 funcref)}}
{{set decide: {{repeat 4000 _: (table.fill $t (i32.const 0) (ref.null func) (i32.const 20000))}}}}
{{include policy}}
