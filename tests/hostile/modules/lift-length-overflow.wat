;; expect: decide bad-answer
;; A text whose end lies before its begin.
{{set decide: (call $pair (i32.const 1216) (i32.const -16) (i32.const 32))}}
{{include policy}}
