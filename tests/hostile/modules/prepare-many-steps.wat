;; expect: prepare too-much: steps
;; A step too many.
{{set step: 1000}}{{set window: 1440001}}{{include needs}}
