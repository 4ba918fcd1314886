;; expect: decide bad-answer
;; A list of u32::MAX targets, whose size in bytes overflows 32 bits.
{{set decide: (call $pair (i32.const 1208) (i32.const 2048) (i32.const -1))}}
{{include policy}}
