;; expect: decide trap
;; A component whose post-return function traps after a good answer.
{{set extra: (func (export "post") (param i32) unreachable)}}
{{set after: (alias core export $main "post" (core func $post))}}
{{set options: (post-return $post)}}
{{include component}}
