;; expect: describe timeout
;; An endless loop in the post-return function of `describe`, after the answer was read.
{{set extra: (func (export "cabi_post_trimtab:policy/policy@0.1.0#describe") (param i32) (loop $again br $again))}}
{{include policy}}
