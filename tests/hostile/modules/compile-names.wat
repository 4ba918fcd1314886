;; expect: decide ok replicas=3
;; A name section of a million bytes of terminal escapes.
{{set extra: (@custom "name" "\00\85\80\c0\00{{repeat 200000 _: \1b[2J}}")}}
{{include policy}}
