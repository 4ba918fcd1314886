;; expect: compile invalid
;; Thirty tuples of the one before it, twice: a type of a thousand million fields.
(component
  (type (tuple u8 u8))
  {{repeat 30 n: (type (tuple {{n}} {{n}}))}}
  (import "trimtab:policy/types@0.1.0" (func (param "x" 30)))
  (instance $i)
  (export "trimtab:policy/policy@0.1.0" (instance $i)))
