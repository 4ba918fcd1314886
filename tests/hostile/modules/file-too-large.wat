;; expect: inspect too-large
;; given: module-bytes=100000
;; A file of more bytes than a file may have.
{{set extra: (@custom "padding" "{{repeat 100000 _: x}}")}}
{{include policy}}
