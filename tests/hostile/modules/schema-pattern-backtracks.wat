;; expect: config bad-config
;; config: {"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}
;; The pattern on which backtracking engines take the age of the universe.
{{set schema: {\"properties\":{\"a\":{\"pattern\":\"^(a+)+$\"} } } }}
{{include schema}}
