;; expect: decide ok replicas=3
;; Says in its version how often it was described: always for the first time.
{{set extra: (global $times (mut i32) (i32.const 48))}}
{{set describe:
  (global.set $times (i32.add (global.get $times) (i32.const 1)))
  (i32.store8 (i32.const 2048) (global.get $times))
  (call $pair (i32.const 1032) (i32.const 2048) (i32.const 1))}}
{{include policy}}
