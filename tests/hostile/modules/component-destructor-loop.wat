;; expect: decide timeout
;; A resource whose destructor loops.
{{set before:
  (core module $d (func (export "dtor") (param i32) (loop $again br $again)))
  (core instance $d (instantiate $d))
  (type $r (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))}}
{{set with: (with "r" (instance (export "new" (func $new)) (export "drop" (func $drop))))}}
{{set imports:
  (import "r" "new" (func $new (param i32) (result i32)))
  (import "r" "drop" (func $drop (param i32)))}}
{{set decide: (call $drop (call $new (i32.const 1)))}}
{{include component}}
