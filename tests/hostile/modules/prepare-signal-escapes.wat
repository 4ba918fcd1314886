;; expect: prepare bad-answer
;; A signal whose name is a line break.
{{set extra: (data (i32.const 2000) "\0a")}}
{{set signal: 2000}}{{set signal-bytes: 1}}{{include needs}}
