;; expect: decide bad-answer
;; given: series=256 values=512
;; The largest observation, to a policy that gives room behind its memory.
{{include policy}}
