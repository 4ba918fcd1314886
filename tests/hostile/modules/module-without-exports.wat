;; expect: link not-a-policy
;; A module that exports nothing.
(module)
