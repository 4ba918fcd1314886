;; expect: prepare stack
;; Recursion in `cabi_realloc`, entered from the host in the middle of a call.
{{set extra: (func $deep (call $deep))}}
{{set realloc: (call $deep)}}
{{include policy}}
