;; A policy without faults as a core module, which the host wraps. See `body`.
(module
  (import "trimtab:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))
  {{include body}})
