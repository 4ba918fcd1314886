;; expect: imports foreign-import: `env puts`
;; A module with an undefined symbol.
{{set imports: (import "env" "puts" (func (param i32)))}}
{{include policy}}
