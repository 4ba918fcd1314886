;; expect: decide trap: out of bounds
;; Reads behind its memory.
{{set decide: (drop (i32.load (i32.const -8)))}}
{{include policy}}
