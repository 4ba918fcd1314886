;; expect: decide timeout
;; An endless loop in the post-return function of `decide`: the answer was good, and does not count.
{{set extra: (func (export "cabi_post_trimtab:policy/policy@0.1.0#decide") (param i32) (loop $again br $again))}}
{{include policy}}
