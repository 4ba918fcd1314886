;; expect: describe bad-answer
;; A name of a million letters.
{{set describe:
  (memory.fill (i32.const 2048) (i32.const 97) (i32.const 1000000))
  (call $pair (i32.const 1024) (i32.const 2048) (i32.const 1000000))}}
{{include policy}}
