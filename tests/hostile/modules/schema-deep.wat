;; expect: describe bad-schema
;; A schema of five thousand `not`s: a parser that recurses overflows its stack.
{{set schema: {{repeat 5000 _: {\"not\":}}1{{repeat 5000 _: } }}}}
{{include schema}}
