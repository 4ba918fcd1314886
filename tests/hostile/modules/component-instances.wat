;; expect: inspect too-complex: makes instances
;; A thousand instances of an empty module.
{{set before:
  (core module $m)
  {{repeat 1000 n: (core instance $i{{n}} (instantiate $m))}}}}
{{include component}}
