;; expect: inspect too-complex
;; Five million exports without a name, three bytes each: a reader that keeps a list of them needs fifty times the file.
(module binary "\00asm\01\00\00\00\07\c4\c3\93\07\c0\96\b1\02{{repeat 5000000 _: \00\00\00}}")
