;; expect: inspect empty
;; No bytes.
(module binary "")
