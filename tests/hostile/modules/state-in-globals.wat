;; expect: decide ok replicas=1 then decide ok replicas=1
;; Counts its calls in a global, in its memory and in a table: the next call must find none of it.
{{set extra:
  (global $calls (mut i32) (i32.const 0)) (table $t 1 funcref) (elem declare func $pair)}}
{{set decide:
  (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
  (i32.store (i32.const 900) (i32.add (i32.load (i32.const 900)) (i32.const 1)))
  (if (i32.eqz (ref.is_null (table.get $t (i32.const 0)))) (then (global.set $calls (i32.const 100))))
  (table.set $t (i32.const 0) (ref.func $pair))
  (i32.store (i32.const 1316) (select (global.get $calls) (i32.load (i32.const 900)) (i32.gt_u (global.get $calls) (i32.load (i32.const 900)))))}}
{{include policy}}
