;; expect: prepare too-much: reaches back
;; The largest numbers there are: sums and quotients overflow.
{{set step: -1}}{{set window: -1}}{{include needs}}
