;; expect: config bad-config
;; config: {"a": [[[[[[[[[[1]]]]]]]]]]}
;; Two thousand alternatives that all fail, each with a text of its own.
{{set schema: {\"anyOf\":[{{repeat 2000 n: {\"properties\":{\"a\":{\"const\":{{n}} } } },}}{\"type\":\"string\"}]} }}
{{include schema}}
