;; expect: prepare answer-too-large
;; Asks for a million series.
{{set memory: (memory (export "memory") 900)}}
{{set prepare: (call $pair (i32.const 1108) (i32.const 2048) (i32.const 1000000))}}
{{include policy}}
