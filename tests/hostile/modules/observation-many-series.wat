;; expect: decide observation-too-large bounds=observation
;; given: series=257 values=1
;; More series than the contract promises: a manifest that gathers too much, and not the policy's fault.
{{include policy}}
