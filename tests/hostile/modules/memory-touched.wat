;; expect: decide ok replicas=3
;; Touches all 60 MiB that it may have, in each call: what a slot keeps must not grow.
{{set decide:
  (drop (memory.grow (i32.const 900)))
  (local.set $n (i32.const 2097152))
  (loop $again
    (i32.store (local.get $n) (i32.const 1))
    (local.set $n (i32.add (local.get $n) (i32.const 4096)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 61000000))))}}
{{include policy}}
