;; expect: compile too-complex
;; Components that make instances of each other, below what is counted in the file: three of three of three, with five
;; modules each.
{{set before:
  (component $c0 (core module $m) {{repeat 5 _: (core instance (instantiate $m))}})
  {{repeat 3 n: (component $c{{n+1}}
    (alias outer 1 $c{{n}} (component $c))
    {{repeat 3 _: (instance (instantiate $c))}})}}
  (instance (instantiate $c3))}}
{{include component}}
