;; expect: decide ok replicas=3
;; A br_table of sixty thousand targets.
{{set extra: (func $table (param i32) block (br_table {{repeat 60000 _: 0 }} (local.get 0)) end)}}
{{include policy}}
