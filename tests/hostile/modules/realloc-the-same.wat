;; expect: decide ok replicas=3
;; Gives the same room for everything: it spoils its own arguments, and nobody else's.
{{set realloc: (return (i32.const 1048576))}}
{{include policy}}
