;; expect: decide bad-answer: twice
;; Twenty thousand targets of the one pool there is: a check that compares each with each takes a second.
{{set memory: (memory (export "memory") 64)}}
{{set decide:
  (call $pair (i32.const 1208) (i32.const 2100000) (i32.const 20000))
  (loop $again
    (memory.copy (i32.add (i32.const 2100000) (i32.mul (local.get $n) (i32.const 20))) (i32.const 1300) (i32.const 20))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 20000))))}}
{{include policy}}
