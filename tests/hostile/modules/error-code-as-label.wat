;; expect: prepare other
;; Refuses a configuration with a code made of a metric's label and a line break.
{{set extra: (data (i32.const 2048) "x\"} 1\0atrimtab_ticks_total 99")}}
{{set prepare:
  (i32.store8 (i32.const 1104) (i32.const 1))
  (call $pair (i32.const 1108) (i32.const 2048) (i32.const 28))
  (call $pair (i32.const 1116) (i32.const 2048) (i32.const 28))
  (call $pair (i32.const 1124) (i32.const 0) (i32.const 0))}}
{{include policy}}
