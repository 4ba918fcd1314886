;; expect: describe memory
;; Four instances of one module, each with 30 MiB of its own.
{{set before:
  (core module $m (memory 480))
  {{repeat 4 n: (core instance $i{{n}} (instantiate $m))}}}}
{{include component}}
