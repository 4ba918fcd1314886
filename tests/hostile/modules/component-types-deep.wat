;; expect: compile invalid
;; A type of a hundred thousand lists of lists: whatever recurses over it needs a stack for each.
(component
  (type (list u8))
  {{repeat 100000 n: (type (list {{n}}))}}
  (import "trimtab:policy/types@0.1.0" (func (param "x" 100000)))
  (instance $i)
  (export "trimtab:policy/policy@0.1.0" (instance $i)))
