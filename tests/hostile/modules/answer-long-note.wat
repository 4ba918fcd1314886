;; expect: decide ok notes=1 bounds=notes
;; One note whose name has a thousand bytes.
{{set decide:
  (memory.fill (i32.const 2048) (i32.const 65) (i32.const 1000))
  (call $pair (i32.const 1224) (i32.const 20000) (i32.const 1))
  (call $pair (i32.const 20000) (i32.const 2048) (i32.const 1000))}}
{{include policy}}
