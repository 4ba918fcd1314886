;; expect: decide ok state=65536
;; A state of exactly 64 KiB.
{{set decide: (i32.store8 (i32.const 1232) (i32.const 1)) (call $pair (i32.const 1236) (i32.const 2048) (i32.const 65536))}}
{{include policy}}
