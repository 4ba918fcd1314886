;; expect: imports foreign-import: wasi:clocks/wall-clock@0.2.0
;; A component that wants a clock.
(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))
