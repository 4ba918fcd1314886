;; expect: decide timeout
;; A loop four deep whose headers are reached by a br_table only.
{{set decide: (loop $a (loop $b (loop $c (loop $d (br_table $a $b $c $d (local.get $n))))))}}
{{include policy}}
