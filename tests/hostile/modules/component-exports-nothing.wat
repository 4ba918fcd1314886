;; expect: link not-a-policy
;; A component that is no policy.
(component)
