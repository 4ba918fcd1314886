;; expect: decide bad-answer: tier `sideways`
;; A tier that does not exist.
{{set decide: (call $pair (i32.const 1308) (i32.const 80) (i32.const 8))}}
{{include policy}}
