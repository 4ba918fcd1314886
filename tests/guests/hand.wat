;; A policy written by hand against docs/abi.md: one replica for every four waiting requests. No SDK, no compiler.
;;
;; Memory: 0..255 unused, 256..639 the records that functions return, 1024..2047 texts, from 4096 on what the host
;; puts in through cabi_realloc. The host makes a fresh instance for each call, so nothing is ever freed or cleared.
(module
  (import "trimtab:policy/log@0.1.0" "write" (func $log (param $level i32) (param $text i32) (param $bytes i32)))

  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))

  (data (i32.const 1024) "hand")
  (data (i32.const 1032) "0.1.0")
  (data (i32.const 1040) "One replica for every four waiting requests.")
  (data (i32.const 1104) "queue-depth")
  (data (i32.const 1120) "serving")
  (data (i32.const 1128) "missing-metric")
  (data (i32.const 1144) "no fresh value of queue-depth")
  (data (i32.const 1176) "one replica for every four waiting requests")
  (data (i32.const 1232) "{\"type\":\"object\",\"additionalProperties\":false}")

  ;; The host asks for room in which to put arguments. A request to move a block is answered by a new one, as the host
  ;; never moves what it has written.
  (func (export "cabi_realloc") (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
    (local $start i32)
    ;; start = next, rounded up to the alignment
    (local.set $start
      (i32.and
        (i32.sub (i32.add (global.get $next) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $start) (local.get $bytes)))
    (block $fits
      (loop $more
        (br_if $fits (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
        (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        (unreachable)))
    (local.get $start))

  ;; A text or list: address, then length.
  (func $pair (param $at i32) (param $address i32) (param $length i32)
    (i32.store (local.get $at) (local.get $address))
    (i32.store offset=4 (local.get $at) (local.get $length)))

  ;; description at 256
  (func (export "trimtab:policy/policy@0.1.0#describe") (result i32)
    (call $pair (i32.const 256) (i32.const 1024) (i32.const 4))   ;; name
    (call $pair (i32.const 264) (i32.const 1032) (i32.const 5))   ;; version
    (call $pair (i32.const 272) (i32.const 1040) (i32.const 44))  ;; summary
    (call $pair (i32.const 280) (i32.const 1232) (i32.const 46))  ;; config-schema
    (i32.store (i32.const 288) (i32.const 1))                     ;; state-version
    (call $pair (i32.const 292) (i32.const 0) (i32.const 0))      ;; attributes
    (i32.const 256))

  ;; result<preparation, policy-error> at 320, its only metric-need at 384
  (func (export "trimtab:policy/policy@0.1.0#prepare") (param $config i32) (param $config_bytes i32) (result i32)
    (call $pair (i32.const 384) (i32.const 1104) (i32.const 11))  ;; signal; by, within, across, step, window stay 0
    (i32.store8 (i32.const 432) (i32.const 1))                    ;; required
    (i32.store8 (i32.const 320) (i32.const 0))                    ;; ok
    (call $pair (i32.const 324) (i32.const 384) (i32.const 1))    ;; needs
    (call $pair (i32.const 332) (i32.const 0) (i32.const 0))      ;; attributes
    (i32.const 320))

  ;; result<decision, policy-error> at 448, its only target at 520
  (func (export "trimtab:policy/policy@0.1.0#decide") (param $arguments i32) (result i32)
    (local $series i32) (local $steps i32) (local $pool i32) (local $waiting f64)
    (block $missing
      ;; observation.series: the first is the only need's; its newest value is the last one
      (br_if $missing (i32.eqz (i32.load offset=44 (local.get $arguments))))
      (local.set $series (i32.load offset=40 (local.get $arguments)))
      (local.set $steps (i32.load offset=28 (local.get $series)))
      (br_if $missing (i32.eqz (local.get $steps)))
      (local.set $waiting
        (f64.load
          (i32.add
            (i32.load offset=24 (local.get $series))
            (i32.shl (i32.sub (local.get $steps) (i32.const 1)) (i32.const 3)))))
      ;; a missing value is NaN, which differs from itself
      (br_if $missing (f64.ne (local.get $waiting) (local.get $waiting)))

      (call $log (i32.const 0) (i32.const 1176) (i32.const 43))   ;; debug
      ;; target: the name of the first pool, which lies in the arguments; tier; replicas
      (local.set $pool (i32.load offset=32 (local.get $arguments)))
      (call $pair (i32.const 520) (i32.load (local.get $pool)) (i32.load offset=4 (local.get $pool)))
      (call $pair (i32.const 528) (i32.const 1120) (i32.const 7))
      (i32.store (i32.const 536) (i32.trunc_sat_f64_u (f64.ceil (f64.mul (local.get $waiting) (f64.const 0.25)))))

      (i32.store8 (i32.const 448) (i32.const 0))                  ;; ok
      (call $pair (i32.const 456) (i32.const 520) (i32.const 1))  ;; targets
      (call $pair (i32.const 464) (i32.const 1176) (i32.const 43)) ;; reason
      (call $pair (i32.const 472) (i32.const 0) (i32.const 0))    ;; notes
      (i32.store8 (i32.const 480) (i32.const 0))                  ;; state: none
      (i32.store8 (i32.const 496) (i32.const 0))                  ;; recheck: none
      (return (i32.const 448)))
    (i32.store8 (i32.const 448) (i32.const 1))                    ;; error
    (call $pair (i32.const 456) (i32.const 1128) (i32.const 14))  ;; code
    (call $pair (i32.const 464) (i32.const 1144) (i32.const 29))  ;; message
    (call $pair (i32.const 472) (i32.const 0) (i32.const 0))      ;; issues
    (i32.const 448)))
