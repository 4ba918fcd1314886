;; expect: decide ok reason=1024 bounds=reason
;; A reason of 8 KiB.
{{set decide:
  (memory.fill (i32.const 2048) (i32.const 65) (i32.const 8192))
  (call $pair (i32.const 1216) (i32.const 2048) (i32.const 8192))}}
{{include policy}}
