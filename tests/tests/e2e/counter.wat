;; Proposes one replica more with each decision, and counts in its state: what is lost of the state is seen at once.
(module
  (import "trimtab:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 4096))
  (data (i32.const 1024) "counter")
  (data (i32.const 1040) "0.1.0")
  (data (i32.const 1056) "Counts its decisions.")
  (data (i32.const 1088) "serving")
  (data (i32.const 1104) "{\"type\":\"object\"}")
  (data (i32.const 1136) "counted")

  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $bytes i32) (result i32)
    (local $start i32)
    (local.set $start
      (i32.and
        (i32.sub (i32.add (global.get $next) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $start) (local.get $bytes)))
    (local.get $start))

  (func $pair (param $at i32) (param $address i32) (param $length i32)
    (i32.store (local.get $at) (local.get $address))
    (i32.store offset=4 (local.get $at) (local.get $length)))

  (func (export "trimtab:policy/policy@0.1.0#describe") (result i32)
    (call $pair (i32.const 256) (i32.const 1024) (i32.const 7))
    (call $pair (i32.const 264) (i32.const 1040) (i32.const 5))
    (call $pair (i32.const 272) (i32.const 1056) (i32.const 21))
    (call $pair (i32.const 280) (i32.const 1104) (i32.const 17))
    (i32.store (i32.const 288) (i32.const 1))
    (i32.const 256))

  (func (export "trimtab:policy/policy@0.1.0#prepare") (param i32 i32) (result i32)
    (i32.const 320))

  (func (export "trimtab:policy/policy@0.1.0#decide") (param $arguments i32) (result i32)
    (local $pool i32) (local $count i32)
    ;; state at 72 of the arguments: four bytes, or none
    (if (i32.eq (i32.load offset=76 (local.get $arguments)) (i32.const 4))
      (then (local.set $count (i32.load align=1 (i32.load offset=72 (local.get $arguments))))))
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (i32.store (i32.const 640) (local.get $count))
    (local.set $pool (i32.load offset=32 (local.get $arguments)))
    (call $pair (i32.const 520) (i32.load (local.get $pool)) (i32.load offset=4 (local.get $pool)))
    (call $pair (i32.const 528) (i32.const 1088) (i32.const 7))
    (i32.store (i32.const 536) (local.get $count))
    (call $pair (i32.const 456) (i32.const 520) (i32.const 1))
    (call $pair (i32.const 464) (i32.const 1136) (i32.const 7))
    (i32.store8 (i32.const 480) (i32.const 1))
    (call $pair (i32.const 484) (i32.const 640) (i32.const 4))
    (i32.const 448)))
