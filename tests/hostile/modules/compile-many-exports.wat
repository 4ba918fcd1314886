;; expect: inspect too-complex
;; Twenty thousand exports of one function.
{{set extra: (func $f) {{repeat 20000 n: (export "e{{n}}" (func $f))}}}}
{{include policy}}
