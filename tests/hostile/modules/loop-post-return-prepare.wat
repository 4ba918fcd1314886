;; expect: prepare timeout
;; An endless loop in the post-return function of `prepare`.
{{set extra: (func (export "cabi_post_trimtab:policy/policy@0.1.0#prepare") (param i32) (loop $again br $again))}}
{{include policy}}
