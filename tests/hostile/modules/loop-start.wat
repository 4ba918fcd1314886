;; expect: describe timeout: start function
;; An endless loop in the start function, before any export is called.
{{set extra: (func $start (loop $again br $again)) (start $start)}}
{{include policy}}
