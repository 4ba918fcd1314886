;; expect: describe ok
;; A schema whose own metaschema lies on the net: it is not asked for.
{{set schema: {\"$schema\":\"http://169.254.169.254/schema\",\"$id\":\"http://169.254.169.254/x\",\"type\":\"object\"} }}
{{include schema}}
