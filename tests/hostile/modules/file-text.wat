;; expect: inspect not-wasm: assembled
;; WAT that nobody assembled.
(module binary "(module)")
