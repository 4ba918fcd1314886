;; expect: decide bad-answer
;; A list that is not aligned.
{{set decide: (call $pair (i32.const 1208) (i32.const 1301) (i32.const 1))}}
{{include policy}}
