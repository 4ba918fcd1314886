;; expect: decide ok replicas=3
;; Has a second memory, and lifts from the first.
{{set memory: (memory (export "memory") 32) (memory (export "other") 1)}}
{{include component}}
