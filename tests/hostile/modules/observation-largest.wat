;; expect: decide ok replicas=3
;; given: series=256 values=512
;; The largest observation there may be, to a policy with room for it.
{{set memory: (memory (export "memory") 64)}}
{{include policy}}
