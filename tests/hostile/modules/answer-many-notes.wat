;; expect: decide ok notes=32 bounds=notes
;; A hundred notes of a thousand bytes.
{{set decide:
  (memory.fill (i32.const 2048) (i32.const 65) (i32.const 8192))
  (call $pair (i32.const 1224) (i32.const 20000) (i32.const 100))
  (loop $again
    (call $pair (i32.add (i32.const 20000) (i32.mul (local.get $n) (i32.const 16))) (i32.const 2048) (i32.const 1000))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))}}
{{include policy}}
