;; expect: describe bad-schema: more than 64 patterns
;; Sixty-five patterns, each as large as one may be.
{{set schema: {\"allOf\":[{{repeat 65 _: {\"pattern\":\"a{9}{9}\"},}}{}]} }}
{{include schema}}
