;; expect: decide ok state=1 then decide timeout
;; Behaves while it has no state, as at admission, and loops from its second decision on.
{{set decide:
  (if (i32.load offset=76 (local.get $args)) (then (loop $again br $again)))
  (i32.store8 (i32.const 1232) (i32.const 1))
  (call $pair (i32.const 1236) (i32.const 16) (i32.const 1))}}
{{include policy}}
