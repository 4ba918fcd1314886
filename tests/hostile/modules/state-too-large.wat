;; expect: decide state-too-large bounds=state
;; A state of one byte more than 64 KiB.
{{set decide: (i32.store8 (i32.const 1232) (i32.const 1)) (call $pair (i32.const 1236) (i32.const 2048) (i32.const 65537))}}
{{include policy}}
