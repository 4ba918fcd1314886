;; expect: compile too-complex
;; Nine instances of one module with an empty memory each: no module has more than one.
{{set before:
  (core module $m (memory 0))
  {{repeat 9 n: (core instance $i{{n}} (instantiate $m))}}}}
{{include component}}
