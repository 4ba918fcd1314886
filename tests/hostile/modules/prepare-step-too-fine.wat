;; expect: prepare too-much: finer
;; A step of less than a second.
{{set step: 999}}{{set window: 1000}}{{include needs}}
