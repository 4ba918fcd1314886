;; expect: decide bad-answer
;; A line of a level that does not exist.
{{set decide: (call $log (i32.const 77) (i32.const 16) (i32.const 4))}}
{{include policy}}
