;; expect: link not-a-policy
;; Imports the log under another signature.
(module
  (import "trimtab:policy/log@0.1.0" "write" (func $log (param i64)))
  {{include body}})
