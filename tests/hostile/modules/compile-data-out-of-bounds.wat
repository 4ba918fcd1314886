;; expect: describe trap
;; A data segment that does not fit: found when an instance is made.
{{set extra: (data (i32.const 2097150) "xxxx")}}
{{include policy}}
