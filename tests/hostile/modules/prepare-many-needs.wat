;; expect: prepare too-much
;; Asks for thirty-three series.
{{set count: 33}}{{include needs}}
