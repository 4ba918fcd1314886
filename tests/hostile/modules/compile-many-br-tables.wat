;; expect: decide ok replicas=3
;; A hundred br_tables of a thousand targets each, to a hundred blocks.
{{set extra: (func $table (param i32) {{repeat 100 _: block }} {{repeat 100 _: (br_table {{repeat 10 _: {{repeat 100 k: {{k}} }}}} (local.get 0)) }} {{repeat 100 _: end }})}}
{{include policy}}
