;; expect: decide bad-answer: utf-8
;; A line that is no text.
{{set decide: (call $log (i32.const 1) (i32.const 64) (i32.const 6))}}
{{include policy}}
