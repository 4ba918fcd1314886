;; expect: decide bad-answer: twice
;; The same pool and tier twice, with two numbers.
{{set decide:
  (memory.copy (i32.const 1320) (i32.const 1300) (i32.const 20))
  (i32.store (i32.const 1336) (i32.const 9))
  (i32.store (i32.const 1212) (i32.const 2))}}
{{include policy}}
