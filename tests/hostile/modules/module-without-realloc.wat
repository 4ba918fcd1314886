;; expect: link not-a-policy
;; A module that gives no room for arguments.
(module (memory (export "memory") 1)
  (func (export "trimtab:policy/policy@0.1.0#describe") (result i32) unreachable)
  (func (export "trimtab:policy/policy@0.1.0#prepare") (param i32 i32) (result i32) unreachable)
  (func (export "trimtab:policy/policy@0.1.0#decide") (param i32) (result i32) unreachable))
