;; expect: inspect not-wasm
;; The page of a server that did not find the file.
(module binary "<!doctype html><title>404</title>")
