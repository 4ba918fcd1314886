;; expect: decide observation-too-large
;; given: series=256 values=513
;; More values than the contract promises.
{{include policy}}
