;; expect: prepare bad-answer: `by`
;; Wants a series for each combination of a hundred labels.
{{set by: 100}}{{include needs}}
