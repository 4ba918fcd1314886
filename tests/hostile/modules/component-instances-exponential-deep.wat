;; expect: inspect too-complex: makes instances
;; The same thirty deep: a thousand million instances, which a host that flattens them never ends to count.
{{set before:
  (component $c0 (core module $m) (core instance (instantiate $m)))
  {{repeat 30 n: (component $c{{n+1}}
    (alias outer 1 $c{{n}} (component $c))
    (instance (instantiate $c)) (instance (instantiate $c)))}}
  (instance (instantiate $c30))}}
{{include component}}
