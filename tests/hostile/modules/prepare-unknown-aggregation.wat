;; expect: prepare bad-answer: across
;; Wants replicas combined in a way that there is not.
{{set across: 5}}{{include needs}}
