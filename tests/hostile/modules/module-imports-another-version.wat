;; expect: imports foreign-import: trimtab:policy/log@0.9.0
;; Wants a contract that there is not.
{{set imports: (import "trimtab:policy/log@0.9.0" "write" (func (param i32 i32 i32)))}}
{{include policy}}
