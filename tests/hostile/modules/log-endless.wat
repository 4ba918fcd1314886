;; expect: decide timeout log=64 bounds=log,call-cpu
;; Logs for ever.
{{set decide: (loop $again (call $log (i32.const 1) (i32.const 16) (i32.const 4)) (br $again))}}
{{include policy}}
