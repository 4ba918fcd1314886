;; expect: decide trap: divide by zero
;; Divides by zero: a signal in the host's process.
{{set decide: (drop (i32.div_u (i32.const 1) (local.get $n)))}}
{{include policy}}
