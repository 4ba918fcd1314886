;; expect: inspect not-wasm
;; A version of the format that there is not.
(module binary "\00asm\02\00\00\00")
