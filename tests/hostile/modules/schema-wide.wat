;; expect: describe bad-schema: more than 10000 values
;; Twenty thousand properties.
{{set schema: {\"properties\":{ {{repeat 20000 n: \"p{{n}}\":{},}}\"last\":{} } } }}
{{include schema}}
