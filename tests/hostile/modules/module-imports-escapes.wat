;; expect: imports foreign-import
;; An import whose name moves the cursor and forges a line.
{{set imports: (import "\1b[2J\0aERROR forged" "\e2\80\ae" (func))}}
{{include policy}}
