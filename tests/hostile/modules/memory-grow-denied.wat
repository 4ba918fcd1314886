;; expect: decide ok replicas=3
;; Grows its memory until it is refused, and answers all the same: that is its right.
{{set decide: (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))}}
{{include policy}}
