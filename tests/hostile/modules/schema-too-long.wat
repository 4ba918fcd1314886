;; expect: describe bad-schema: and may have 262144
;; A schema of 300,000 bytes of spaces.
{{set describe:
  (memory.fill (i32.const 2048) (i32.const 32) (i32.const 300000))
  (i32.store16 (i32.const 2048) (i32.const 32123))
  (call $pair (i32.const 1048) (i32.const 2048) (i32.const 300000))}}
{{include policy}}
