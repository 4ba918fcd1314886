;; expect: describe bad-answer
;; A policy without a name.
{{set describe: (call $pair (i32.const 1024) (i32.const 0) (i32.const 0))}}
{{include policy}}
