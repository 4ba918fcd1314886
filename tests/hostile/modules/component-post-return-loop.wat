;; expect: decide timeout
;; A component whose post-return function for `decide` loops.
{{set extra: (func (export "post") (param i32) (loop $again br $again))}}
{{set after: (alias core export $main "post" (core func $post))}}
{{set options: (post-return $post)}}
{{include component}}
