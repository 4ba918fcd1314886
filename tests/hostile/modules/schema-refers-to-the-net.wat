;; expect: describe bad-schema
;; A schema that would be fetched from the cloud's metadata service.
{{set schema: {\"properties\":{\"a\":{\"$ref\":\"http://169.254.169.254/latest/meta-data/\"} } } }}
{{include schema}}
