;; expect: inspect invalid
;; A section whose length has six bytes.
(module binary "\00asm\01\00\00\00\01\ff\ff\ff\ff\ff\0f")
