;; expect: describe host: overloaded
;; given: call-cpu-ms=2000 call-wall-ms=30
;; A call that the machine was too slow for: the host takes the blame, not the guest.
{{set describe: (loop $again br $again)}}
{{include policy}}
