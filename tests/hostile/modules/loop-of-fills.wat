;; expect: decide timeout
;; Five thousand times 30 MiB of memory.fill in a straight line: no loop and no call in which a clock would be looked at.
{{set memory: (memory (export "memory") 600)}}
{{set decide: {{repeat 5000 _: (memory.fill (i32.const 2097152) (i32.const 1) (i32.const 31457280))}}}}
{{include policy}}
