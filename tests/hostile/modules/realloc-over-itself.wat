;; expect: prepare trap
;; Gives room and traps at once.
{{set realloc: unreachable}}
{{include policy}}
