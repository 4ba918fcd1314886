;; expect: decide bad-answer
;; Drops a handle that it was never given.
{{set before:
  (type $r (resource (rep i32)))
  (core func $drop (canon resource.drop $r))}}
{{set with: (with "r" (instance (export "drop" (func $drop))))}}
{{set imports: (import "r" "drop" (func $drop (param i32)))}}
{{set decide: (call $drop (i32.const 77))}}
{{include component}}
