;; expect: decide answer-too-large
;; A million empty notes: nothing is copied, but each costs the host 48 bytes.
{{set memory: (memory (export "memory") 512)}}
{{set decide: (call $pair (i32.const 1224) (i32.const 2097152) (i32.const 1000000))}}
{{include policy}}
