;; expect: prepare timeout
;; An endless loop in `prepare`.
{{set prepare: (loop $again br $again)}}
{{include policy}}
