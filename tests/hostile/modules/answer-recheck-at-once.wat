;; expect: decide ok recheck=1000
;; Wants to be asked again in no time.
{{set decide: (i32.store8 (i32.const 1248) (i32.const 1))}}
{{include policy}}
