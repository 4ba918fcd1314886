;; expect: describe stack: start function
;; The same in the start function.
{{set extra: (func $deep (call $deep)) (start $deep)}}
{{include policy}}
