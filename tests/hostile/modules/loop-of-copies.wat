;; expect: decide timeout
;; The same with memory.copy.
{{set memory: (memory (export "memory") 900)}}
{{set decide: {{repeat 5000 _: (memory.copy (i32.const 2097152) (i32.const 2097153) (i32.const 52428800))}}}}
{{include policy}}
