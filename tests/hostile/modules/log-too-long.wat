;; expect: decide answer-too-large bounds=lifted
;; One line of 30 MiB.
{{set memory: (memory (export "memory") 600)}}
{{set decide: (call $log (i32.const 1) (i32.const 2048) (i32.const 31457280))}}
{{include policy}}
