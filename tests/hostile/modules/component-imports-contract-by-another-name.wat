;; expect: imports foreign-import
;; Imports the package itself under a version that begins alike.
(component (import "trimtab:policy/log@0.1.00" (func)))
