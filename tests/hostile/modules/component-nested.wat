;; expect: inspect too-complex: nested
;; A hundred components inside one another, as bytes: no assembler nests that deep.
(module binary "{{repeat 100 n: \00asm\0d\00\01\00\04\ff\ff\ff\00}}")
