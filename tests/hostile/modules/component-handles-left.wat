;; expect: decide ok replicas=3
;; Leaves handles with a looping destructor behind: the end of a call must not run them.
{{set before:
  (core module $d (func (export "dtor") (param i32) (loop $again br $again)))
  (core instance $d (instantiate $d))
  (type $r (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $new (canon resource.new $r))}}
{{set with: (with "r" (instance (export "new" (func $new))))}}
{{set imports: (import "r" "new" (func $new (param i32) (result i32)))}}
{{set decide: (drop (call $new (i32.const 1))) (drop (call $new (i32.const 2)))}}
{{include component}}
