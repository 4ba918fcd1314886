;; expect: compile too-complex
;; Sixty-five tables in one module.
{{set extra: {{repeat 65 n: (table $t{{n}} 1 funcref)}}}}
{{include policy}}
