;; expect: describe bad-schema
;; A schema that is no JSON.
{{set describe: (call $pair (i32.const 1048) (i32.const 16) (i32.const 4))}}
{{include policy}}
