;; expect: inspect too-complex: nested
;; Two hundred components inside one another.
{{repeat 200 _: (component }}{{repeat 200 _: )}}
