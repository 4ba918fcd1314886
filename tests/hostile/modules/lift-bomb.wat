;; expect: decide answer-too-large bounds=lifted
;; Ten thousand targets, each of whose pool names is the same half megabyte: 5 GB in a message of 200 kB.
{{set memory: (memory (export "memory") 64)}}
{{set decide:
  (call $pair (i32.const 1208) (i32.const 2100000) (i32.const 10000))
  (loop $again
    (call $pair (i32.add (i32.const 2100000) (i32.mul (local.get $n) (i32.const 20))) (i32.const 70000) (i32.const 500000))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 10000))))}}
{{include policy}}
