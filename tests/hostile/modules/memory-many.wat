;; expect: compile too-complex
;; Nine memories in one module, all but one of them empty.
{{set memory: (memory (export "memory") 32) {{repeat 8 n: (memory $m{{n}} 0)}}}}
{{include policy}}
