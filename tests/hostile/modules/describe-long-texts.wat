;; expect: describe ok version=64 summary=1024 attributes=32
;; A version and a summary of half a megabyte, and a thousand attributes.
{{set describe:
  (memory.fill (i32.const 20000) (i32.const 97) (i32.const 500000))
  (call $pair (i32.const 1032) (i32.const 20000) (i32.const 500000))
  (call $pair (i32.const 1040) (i32.const 20000) (i32.const 500000))
  (call $pair (i32.const 1060) (i32.const 600000) (i32.const 1000))}}
{{include policy}}
