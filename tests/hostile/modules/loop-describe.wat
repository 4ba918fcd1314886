;; expect: describe timeout
;; An endless loop in `describe`.
{{set describe: (loop $again br $again)}}
{{include policy}}
