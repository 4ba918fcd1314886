;; expect: link not-a-policy
;; A million and one types.
{{set extra: {{repeat 1000001 _: (type (func)) }}}}
{{include policy}}
