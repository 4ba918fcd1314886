;; expect: decide ok log=1
;; A line that would clear the terminal, rename its window and forge another line.
{{set extra: (data (i32.const 2048) "\1b[2J\1b]0;owned\07\0d\0a2026-01-01T00:00:00Z ERROR forged \e2\80\ae\c2\9b")}}
{{set decide: (call $log (i32.const 3) (i32.const 2048) (i32.const 56))}}
{{include policy}}
