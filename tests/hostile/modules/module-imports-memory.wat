;; expect: imports foreign-import: `env memory`
;; Wants the host's memory.
{{set imports: (import "env" "memory" (memory 1))}}
{{include policy}}
