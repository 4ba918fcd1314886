;; expect: describe bad-schema
;; A pattern of a thousand million states.
{{set schema: {\"pattern\":\"a{1000}{1000}{1000}\"} }}
{{include schema}}
