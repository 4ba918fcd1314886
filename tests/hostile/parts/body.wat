;; The inside of a core module that is a policy without faults. A case sets the parts that it wants otherwise, then
;; includes `policy` (this with the log as a core module) or `component` (this inside a component).
;;
;; Memory: texts below 1024; `describe` answers at 1024 (44 bytes), `prepare` at 1104 (28 bytes), `decide` at 1200 (64
;; bytes) with its one target at 1300; from 2048 on the case's own; the heap begins at 1 MiB, for what the host puts in.
{{default imports: }}
{{default memory: (memory (export "memory") 32)}}
{{default extra: }}
{{default realloc: }}
{{default describe: }}
{{default prepare: }}
{{default decide: }}
  {{imports}}
  {{memory}}
  (data (i32.const 16) "test") (data (i32.const 32) "serving") (data (i32.const 48) "default")
  (data (i32.const 64) "\ff\fe bad") (data (i32.const 80) "sideways") (data (i32.const 96) "queue-depth")
  (global $heap (mut i32) (i32.const 1048576))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    {{realloc}}
    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get 3))))
  ;; An address and a length at an address: a text, or a list.
  (func $pair (param i32 i32 i32)
    (i32.store (local.get 0) (local.get 1))
    (i32.store offset=4 (local.get 0) (local.get 2)))
  (func (export "trimtab:policy/policy@0.1.0#describe") (result i32) (local $n i32)
    (call $pair (i32.const 1024) (i32.const 16) (i32.const 4))
    {{describe}}
    (i32.const 1024))
  (func (export "trimtab:policy/policy@0.1.0#prepare") (param $config i32) (param $bytes i32) (result i32) (local $n i32)
    {{prepare}}
    (i32.const 1104))
  (func (export "trimtab:policy/policy@0.1.0#decide") (param $args i32) (result i32) (local $n i32)
    (call $pair (i32.const 1208) (i32.const 1300) (i32.const 1))
    (call $pair (i32.const 1300) (i32.const 48) (i32.const 7))
    (call $pair (i32.const 1308) (i32.const 32) (i32.const 7))
    (i32.store (i32.const 1316) (i32.const 3))
    {{decide}}
    (i32.const 1200))
  {{extra}}
