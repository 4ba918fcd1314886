;; expect: compile invalid
;; Objects on a heap of the host's.
{{set extra: (type $s (struct (field i32))) (func (result anyref) (struct.new $s (i32.const 1)))}}
{{include policy}}
