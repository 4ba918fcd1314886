;; expect: decide ok reason=74
;; A reason that would clear a terminal and forge a line.
{{set extra: (data (i32.const 2048) "\1b[2J\1b]0;owned\07\0d\0a2026-01-01T00:00:00Z ERROR forged \e2\80\ae")}}
{{set decide: (call $pair (i32.const 1216) (i32.const 2048) (i32.const 53))}}
{{include policy}}
