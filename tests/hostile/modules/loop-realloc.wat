;; expect: prepare timeout
;; An endless loop in `cabi_realloc`, where the host puts arguments in.
{{set realloc: (loop $again br $again)}}
{{include policy}}
