;; expect: decide trap
;; Calls a function through a table under another type.
{{set extra: (type $other (func (param i64 i64) (result f32))) (table 1 funcref) (elem (i32.const 0) $pair)}}
{{set decide: (drop (call_indirect (type $other) (i64.const 1) (i64.const 2) (i32.const 0)))}}
{{include policy}}
