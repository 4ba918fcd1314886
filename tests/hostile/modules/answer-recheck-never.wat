;; expect: decide ok recheck=18446744073709551615
;; Wants to be asked again at the end of time: a date that overflows.
{{set decide: (i32.store8 (i32.const 1248) (i32.const 1)) (i64.store (i32.const 1256) (i64.const -1))}}
{{include policy}}
