;; expect: inspect too-complex: nested
;; Eighty components inside one another.
{{repeat 80 _: (component }}{{repeat 80 _: )}}
