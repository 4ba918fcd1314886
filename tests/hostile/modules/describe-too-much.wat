;; expect: describe answer-too-large
;; A summary of 20 MiB.
{{set memory: (memory (export "memory") 600)}}
{{set describe: (call $pair (i32.const 1040) (i32.const 2048) (i32.const 20971520))}}
{{include policy}}
