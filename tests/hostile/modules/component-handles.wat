;; expect: decide too-complex bounds=complexity
;; Makes handles of a resource of its own for ever; each costs the host memory that no limiter sees.
{{set before:
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))}}
{{set with: (with "r" (instance (export "new" (func $new))))}}
{{set imports: (import "r" "new" (func $new (param i32) (result i32)))}}
{{set decide: (loop $again (drop (call $new (i32.const 1))) (br $again))}}
{{include component}}
