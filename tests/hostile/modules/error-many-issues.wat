;; expect: prepare bad-config
;; Refuses a configuration with twenty thousand things that are wrong.
{{set memory: (memory (export "memory") 64)}}
{{set extra: (data (i32.const 2048) "bad-config")}}
{{set prepare:
  (i32.store8 (i32.const 1104) (i32.const 1))
  (call $pair (i32.const 1108) (i32.const 2048) (i32.const 10))
  (call $pair (i32.const 1116) (i32.const 2048) (i32.const 10))
  (call $pair (i32.const 1124) (i32.const 2100000) (i32.const 20000))}}
{{include policy}}
