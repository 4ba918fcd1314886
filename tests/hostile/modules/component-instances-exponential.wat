;; expect: inspect too-complex: makes instances
;; Components that instantiate each other twice, twelve deep: four thousand instances in a hundred lines.
{{set before:
  (component $c0 (core module $m) (core instance (instantiate $m)))
  {{repeat 12 n: (component $c{{n+1}}
    (alias outer 1 $c{{n}} (component $c))
    (instance (instantiate $c)) (instance (instantiate $c)))}}
  (instance (instantiate $c12))}}
{{include component}}
