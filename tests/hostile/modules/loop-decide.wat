;; expect: decide timeout bounds=call-cpu
;; An endless loop in `decide`.
{{set decide: (loop $again br $again)}}
{{include policy}}
