;; expect: decide bad-answer: pool `test`
;; A pool that is not its own.
{{set decide: (call $pair (i32.const 1300) (i32.const 16) (i32.const 4))}}
{{include policy}}
