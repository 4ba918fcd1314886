;; expect: compile invalid
;; A 64-bit memory.
{{set memory: (memory (export "memory") 32) (memory $s i64 1)}}
{{include policy}}
