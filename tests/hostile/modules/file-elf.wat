;; expect: inspect precompiled
;; Machine code, as a compiler for this engine would write it.
(module binary "\7fELF\02\01\01\00wasmtime")
