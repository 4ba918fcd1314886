;; expect: link not-a-policy
;; A function whose body is no code.
(module binary "\00asm\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\06\01\04\00\ff\ff\0b")
