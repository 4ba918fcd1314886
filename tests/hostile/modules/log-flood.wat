;; expect: decide ok log=64 bounds=log
;; A hundred lines of 4 KiB of line breaks.
{{set decide:
  (memory.fill (i32.const 2048) (i32.const 10) (i32.const 4096))
  (loop $again
    (call $log (i32.const 1) (i32.const 2048) (i32.const 4096))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))}}
{{include policy}}
