;; expect: describe bad-schema: more than 10000 values
;; Twelve levels of references, six of each to the next: two thousand million values.
{{set schema: {\"$defs\":{ {{repeat 12 n: \"d{{n}}\":{\"oneOf\":[{{repeat 5 _: {\"$ref\":\"#/$defs/d{{n+1}}\"},}}{\"type\":\"number\"}]},}}\"d12\":{\"type\":\"number\"} },\"$ref\":\"#/$defs/d0\"} }}
{{include schema}}
