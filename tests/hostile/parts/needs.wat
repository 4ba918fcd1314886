;; A policy that asks for `count` times the same series.
{{default count: 1}}
{{default step: 60000}}
{{default window: 86400000}}
{{default across: 0}}
{{default by: 0}}
{{default signal: 96}}
{{default signal-bytes: 11}}
{{set prepare:
  (call $pair (i32.const 1108) (i32.const 4096) (i32.const {{count}}))
  (loop $again
    (call $pair (i32.add (i32.const 4096) (local.get $n)) (i32.const {{signal}}) (i32.const {{signal-bytes}}))
    (call $pair (i32.add (i32.const 4104) (local.get $n)) (i32.const 65536) (i32.const {{by}}))
    (call $pair (i32.add (i32.const 4120) (local.get $n)) (i32.const 96) (i32.const {{across}}))
    (i64.store (i32.add (i32.const 4128) (local.get $n)) (i64.const {{step}}))
    (i64.store (i32.add (i32.const 4136) (local.get $n)) (i64.const {{window}}))
    (local.set $n (i32.add (local.get $n) (i32.const 56)))
    (br_if $again (i32.lt_u (local.get $n) (i32.mul (i32.const 56) (i32.const {{count}})))))}}
{{include policy}}
