;; expect: imports foreign-import: `wasi_snapshot_preview1 fd_write`
;; A module that was linked against a C library.
{{set imports: (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))}}
{{include policy}}
