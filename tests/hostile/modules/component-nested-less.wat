;; expect: link not-a-policy
;; Sixty components inside one another: legal, and empty.
{{repeat 60 _: (component }}{{repeat 60 _: )}}
