;; expect: decide memory: elements of a table
;; Grows a table by a million elements at a time.
{{set extra: (table $t 1 funcref)}}
{{set decide: (loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const -1)))) unreachable}}
{{include policy}}
