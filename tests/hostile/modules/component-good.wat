;; expect: decide ok replicas=3
;; A component without faults, from which the hostile ones below are made.
{{include component}}
