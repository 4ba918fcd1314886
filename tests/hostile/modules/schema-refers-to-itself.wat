;; expect: describe bad-schema: leads to itself
;; A schema that is itself.
{{set schema: {\"$ref\":\"#\"} }}
{{include schema}}
