;; expect: decide ok replicas=3
;; Twenty thousand types, all different.
{{set extra: {{repeat 20 a: {{repeat 1000 b: (type (func (param {{repeat 20 _: i32 }}) (result i32))) }}}}}}
{{include policy}}
