;; expect: describe bad-schema: leads nowhere
;; A schema that would be read from the host's disk.
{{set schema: {\"$ref\":\"file:///etc/passwd\"} }}
{{include schema}}
