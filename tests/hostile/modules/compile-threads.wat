;; expect: compile invalid
;; A shared memory.
{{set memory: (memory (export "memory") 32) (memory $s 1 1 shared)}}
{{include policy}}
