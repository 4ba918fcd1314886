;; expect: decide ok replicas=4294967295
;; Wants u32::MAX replicas: any number is legal here, the guardrails bound it.
{{set decide: (i32.store (i32.const 1316) (i32.const -1))}}
{{include policy}}
