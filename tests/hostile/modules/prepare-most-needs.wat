;; expect: prepare ok needs=32
;; Asks for as many as it may.
{{set count: 32}}{{include needs}}
