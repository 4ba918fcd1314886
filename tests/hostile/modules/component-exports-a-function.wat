;; expect: link not-a-policy
;; Exports something else under the contract's name.
(component
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func $f (canon lift (core func $m "f")))
  (export "trimtab:policy/policy@0.1.0" (func $f)))
