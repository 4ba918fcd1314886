;; expect: compile too-complex
;; Seventy instances... of five modules with fourteen tables each.
{{set before:
  (core module $m {{repeat 14 _: (table 1 funcref)}})
  {{repeat 5 n: (core instance $i{{n}} (instantiate $m))}}}}
{{include component}}
