;; expect: prepare bad-answer
;; Gives room for arguments far outside of its memory.
{{set realloc: (return (i32.const -16))}}
{{include policy}}
