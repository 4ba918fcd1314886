;; expect: describe memory
;; Two memories, each below the limit, both together above it.
{{set memory: (memory (export "memory") 1000) (memory $second 600)}}
{{include policy}}
