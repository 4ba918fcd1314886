;; expect: inspect incomplete
;; The first bytes of a section that never ends.
(module binary "\00asm\01\00\00\00\01\ff\ff\ff\ff\07")
