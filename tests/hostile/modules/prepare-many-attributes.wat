;; expect: prepare ok attributes=32
;; Ten thousand attributes.
{{set prepare: (call $pair (i32.const 1116) (i32.const 20000) (i32.const 10000))}}
{{include policy}}
