;; expect: decide bad-answer
;; Gives unaligned room.
{{set realloc: (return (i32.const 1048577))}}
{{include policy}}
