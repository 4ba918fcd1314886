;; expect: decide timeout
;; Ten thousand log lines of 2 MB in a straight line: the host copies each, and nothing in the guest looks at a clock.
{{set memory: (memory (export "memory") 64)}}
{{set decide: (memory.fill (i32.const 2048) (i32.const 65) (i32.const 2000000)) {{repeat 10000 _: (call $log (i32.const 1) (i32.const 2048) (i32.const 2000000))}}}}
{{include policy}}
