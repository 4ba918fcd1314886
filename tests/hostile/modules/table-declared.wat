;; expect: compile too-complex
;; Declares a table of eight million elements, of which the host would make 64 MiB.
{{set extra: (table $t 8000000 funcref)}}
{{include policy}}
