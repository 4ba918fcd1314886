;; expect: describe timeout: start function
;; An endless loop in `_initialize`, which the wrapper calls as a start function.
{{set extra: (func (export "_initialize") (loop $again br $again))}}
{{include policy}}
