;; expect: decide bad-answer: utf-8
;; A reason that is no text.
{{set decide: (call $pair (i32.const 1216) (i32.const 64) (i32.const 6))}}
{{include policy}}
