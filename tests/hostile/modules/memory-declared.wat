;; expect: describe memory
;; Declares 2 GiB.
{{set memory: (memory (export "memory") 32768)}}
{{include policy}}
