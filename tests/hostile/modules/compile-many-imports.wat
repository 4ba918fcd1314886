;; expect: inspect too-complex
;; Twenty thousand imports of the log.
{{set imports: {{repeat 20000 _: (import "trimtab:policy/log@0.1.0" "write" (func (param i32 i32 i32)))}}}}
{{include policy}}
