;; expect: decide ok
;; config: {"a": [1, 2, 3]}
;; Checks that compare each item of a list with each other.
{{set schema: {\"properties\":{\"a\":{\"uniqueItems\":true,\"contains\":{\"type\":\"number\"} } } } }}
{{include schema}}
