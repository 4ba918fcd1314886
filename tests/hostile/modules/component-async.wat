;; expect: compile invalid
;; Lifts `decide` as an asynchronous function, which may never end.
{{set options: async}}
{{include component}}
