;; expect: decide timeout
;; Endless tail calls: no loop, no growing stack.
{{set extra: (func $again (return_call $again))}}
{{set decide: (call $again)}}
{{include policy}}
