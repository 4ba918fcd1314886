;; expect: decide memory bounds=memory
;; Grows its memory as far as it goes, then gives up.
{{set decide: (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable}}
{{include policy}}
