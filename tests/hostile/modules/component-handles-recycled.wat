;; expect: decide timeout
;; Makes a handle and drops it, for ever.
{{set before:
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))}}
{{set with: (with "r" (instance (export "new" (func $new)) (export "drop" (func $drop))))}}
{{set imports:
  (import "r" "new" (func $new (param i32) (result i32)))
  (import "r" "drop" (func $drop (param i32)))}}
{{set decide: (loop $again (call $drop (call $new (i32.const 1))) (br $again))}}
{{include component}}
