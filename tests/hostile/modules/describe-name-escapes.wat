;; expect: describe bad-answer
;; A name with a path in it: files are named after digests, but who knows.
{{set extra: (data (i32.const 2048) "../../etc/passwd")}}
{{set describe: (call $pair (i32.const 1024) (i32.const 2048) (i32.const 16))}}
{{include policy}}
