;; expect: prepare too-much: reaches back
;; A window of more than a day.
{{set step: 60000}}{{set window: 86400001}}{{include needs}}
