;; A policy whose JSON Schema is `schema`, at most 256 KiB.
{{set memory: (memory (export "memory") 32)}}
{{set extra: (data (i32.const 131072) "{{schema}}")}}
{{set describe:
  ;; Its length: up to the last byte that is not zero.
  (local.set $n (i32.const 393215))
  (loop $back
    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
    (br_if $back (i32.eqz (i32.load8_u (local.get $n)))))
  (call $pair (i32.const 1048) (i32.const 131072) (i32.sub (i32.add (local.get $n) (i32.const 1)) (i32.const 131072)))}}
{{include policy}}
