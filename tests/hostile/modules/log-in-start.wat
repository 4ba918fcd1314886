;; expect: describe trap
;; Calls the host from the start function, when the instance is not there yet.
{{set extra: (func $start (call $log (i32.const 1) (i32.const 16) (i32.const 4))) (start $start)}}
{{include policy}}
