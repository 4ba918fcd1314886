;; expect: decide bad-answer
;; An option whose flag is neither 0 nor 1.
{{set decide: (i32.store8 (i32.const 1232) (i32.const 9))}}
{{include policy}}
