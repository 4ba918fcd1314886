;; expect: compile too-complex
;; Five instances of one module with fourteen tables: seventy, of which no module has more than a few.
{{set before:
  (core module $m {{repeat 14 _: (table 1 funcref)}})
  {{repeat 5 n: (core instance $i{{n}} (instantiate $m))}}}}
{{include component}}
