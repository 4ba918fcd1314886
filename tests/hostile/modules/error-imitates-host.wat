;; expect: decide other
;; Refuses with the code `host`, for which no policy is ever blamed.
{{set extra: (data (i32.const 2048) "host")}}
{{set decide:
  (i32.store8 (i32.const 1200) (i32.const 1))
  (call $pair (i32.const 1208) (i32.const 2048) (i32.const 4))
  (call $pair (i32.const 1216) (i32.const 2048) (i32.const 4))
  (call $pair (i32.const 1224) (i32.const 0) (i32.const 0))}}
{{include policy}}
