;; expect: decide ok replicas=0 then decide ok replicas=0
;; Leaves a mark in pages that it grew: what the next instance in the slot grows must be zero.
{{set decide:
  (drop (memory.grow (i32.const 512)))
  (local.set $n (i32.const 2097152))
  (i32.store (i32.const 1316) (i32.const 0))
  (loop $again
    (i32.store (i32.const 1316) (i32.or (i32.load (i32.const 1316)) (i32.load (local.get $n))))
    (i32.store (local.get $n) (i32.const 7))
    (local.set $n (i32.add (local.get $n) (i32.const 4096)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 35000000))))}}
{{include policy}}
