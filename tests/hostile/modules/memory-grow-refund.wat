;; expect: decide memory
;; Grows by a little and asks for the impossible in turn: a host that takes back a failed growth gives it out twice.
{{set memory: (memory (export "memory") 32) (memory $b 0) (memory $c 0)}}
{{set decide:
  (loop $again
    (drop (memory.grow $b (i32.const -1)))
    (br_if $again (i32.ne (memory.grow $b (i32.const 64)) (i32.const -1))))
  (loop $again
    (drop (memory.grow $c (i32.const -1)))
    (br_if $again (i32.ne (memory.grow $c (i32.const 64)) (i32.const -1))))
  ;; It answers only if it has more than 64 MiB in all.
  (if (i32.lt_u (i32.add (memory.size $b) (memory.size $c)) (i32.const 1024)) (then unreachable))}}
{{include policy}}
