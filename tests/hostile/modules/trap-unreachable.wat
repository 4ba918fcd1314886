;; expect: decide trap: probably a system call
;; Stops itself.
{{set decide: unreachable}}
{{include policy}}
