;; expect: decide stack
;; Recursion through a table, each frame with a thousand live locals: a guard page can be jumped over.
{{set extra:
  (type $f (func (param i32)))
  (table $t 1 funcref) (elem (i32.const 0) $wide)
  (func $wide (type $f) (local {{repeat 1000 _: i64 }})
    {{repeat 1000 n: (local.set {{n+1}} (i64.load (i32.and (local.get 0) (i32.const 1023)))) }}
    (call_indirect $t (type $f) (i32.add (local.get 0) (i32.const 1)) (i32.const 0))
    {{repeat 1000 n: (i64.store (i32.const 0) (local.get {{n+1}})) }})}}
{{set decide: (call $wide (i32.const 0))}}
{{include policy}}
