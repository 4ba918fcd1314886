;; expect: link not-a-policy
;; A function of sixty thousand locals.
{{set extra: (func $locals (local {{repeat 60000 _: i64 }}))}}
{{include policy}}
