;; expect: link not-a-policy
;; Imports a function of the contract that there is not.
{{set imports: (import "trimtab:policy/log@0.1.0" "read" (func))}}
{{include policy}}
