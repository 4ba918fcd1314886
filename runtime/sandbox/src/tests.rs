//! The sandbox against hostile and broken modules, written by hand: no guest toolchain, every byte visible here.

use std::time::Duration;

use serde_json::json;
use trimtab_control::policy::{Call, Policy, Preparation, Target, Tier};
use trimtab_control::time::Span;

use crate::{Allocator, Limits, Refusal, Sandbox, SandboxConfig, Stage, synthetic_observation};

/// A policy in WAT: each part may be replaced. Areas: texts below 1024, `describe` answers at 1024, `prepare` at 1104,
/// `decide` at 1200 with its one target at 1300; the heap begins at 64 KiB.
struct Wat {
    describe: String,
    prepare: String,
    decide: String,
    extra: String,
    imports: String,
    memory: &'static str,
}

impl Default for Wat {
    fn default() -> Self {
        Wat {
            describe: String::new(),
            prepare: String::new(),
            decide: String::new(),
            extra: String::new(),
            imports: String::new(),
            memory: r#"(memory (export "memory") 32)"#,
        }
    }
}

impl Wat {
    fn text(&self) -> String {
        let Wat { describe, prepare, decide, extra, imports, memory } = self;
        format!(
            r#"(module
              {imports}
              {memory}
              (data (i32.const 16) "test") (data (i32.const 32) "serving") (data (i32.const 48) "default")
              (data (i32.const 64) "\ff\fe bad") (data (i32.const 80) "sideways") (data (i32.const 96) "queue-depth")
              (data (i32.const 300) "{{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{{\"target\":{{\"type\":\"number\"}}}}}}")
              (global $heap (mut i32) (i32.const 65536))
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                global.get $heap
                (global.set $heap (i32.add (global.get $heap) (local.get 3))))
              (func (export "trimtab:policy/policy@0.1.0#describe") (result i32)
                (i32.store (i32.const 1024) (i32.const 16)) (i32.store (i32.const 1028) (i32.const 4))
                {describe}
                i32.const 1024)
              (func (export "trimtab:policy/policy@0.1.0#prepare") (param i32 i32) (result i32) (local $n i32)
                {prepare}
                i32.const 1104)
              (func (export "trimtab:policy/policy@0.1.0#decide") (param $args i32) (result i32) (local $n i32)
                (i32.store (i32.const 1208) (i32.const 1300)) (i32.store (i32.const 1212) (i32.const 1))
                (i32.store (i32.const 1300) (i32.const 48)) (i32.store (i32.const 1304) (i32.const 7))
                (i32.store (i32.const 1308) (i32.const 32)) (i32.store (i32.const 1312) (i32.const 7))
                (i32.store (i32.const 1316) (i32.const 3))
                {decide}
                i32.const 1200)
              {extra})"#
        )
    }

    fn build(&self) -> Vec<u8> {
        wat::parse_str(self.text()).expect("the test's WAT is valid")
    }
}

const LOG_IMPORT: &str = r#"(import "trimtab:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
const LOOP: &str = "(loop $again br $again)";

/// With so much wall time that a busy machine does not take the blame for a guest.
fn sandbox(allocator: Allocator) -> Sandbox {
    let limits = Limits { call_wall: Duration::from_mins(1), ..Limits::default() };
    Sandbox::new(SandboxConfig { limits, allocator, ..SandboxConfig::default() }).expect("an engine")
}

/// One sandbox for all tests: what one guest does must not matter to the next.
fn shared() -> &'static Sandbox {
    static SHARED: std::sync::OnceLock<Sandbox> = std::sync::OnceLock::new();
    SHARED.get_or_init(|| sandbox(Allocator::Pooling))
}

fn decide_with(wat: &Wat, state: &[u8]) -> Call {
    let admitted = shared().admit(&wat.build()).expect("admitted");
    admitted.decide("{}", &synthetic_observation(&Preparation::default()), state)
}

fn decide(body: &str) -> Call {
    decide_with(&Wat { decide: body.into(), imports: LOG_IMPORT.into(), ..Wat::default() }, &[])
}

fn fault(call: &Call) -> (&str, &str) {
    let fault = call.answer.as_ref().expect_err("a fault");
    (&fault.code, &fault.message)
}

fn refusal(wat: &Wat) -> Refusal {
    shared().admit(&wat.build()).expect_err("a refusal")
}

#[test]
fn a_core_module_and_the_component_made_of_it_decide_alike() {
    for allocator in [Allocator::Pooling, Allocator::OnDemand] {
        let sandbox = sandbox(allocator);
        let module = Wat::default().build();
        let component = sandbox.host.contract.wrap(&module, false, 1024).expect("wrapped");
        for bytes in [&module, &component] {
            let admitted = sandbox.admit(bytes).expect("admitted");
            assert_eq!(admitted.description().name, "test");
            assert_eq!(admitted.digest(), crate::digest_of(bytes));
            assert_eq!(admitted.inspection().world.as_deref(), Some("trimtab:policy/scaling-policy@0.1.0"));
            let preparation = admitted.prepare("{}").expect("prepared");
            admitted.probe("{}", &synthetic_observation(&preparation), &[]).expect("probed");
            let answer = admitted.decide("{}", &synthetic_observation(&preparation), b"abc").answer.expect("an answer");
            let want = Target { pool: "default".into(), tier: Tier::Serving, replicas: 3 };
            assert_eq!(answer.targets, [want]);
        }
    }
}

#[test]
fn an_endless_loop_times_out_wherever_it_is() {
    let refused = refusal(&Wat { describe: LOOP.into(), ..Wat::default() });
    assert_eq!((refused.stage, refused.code), (Stage::Describe, "timeout"), "{refused}");
    let start = Wat { extra: format!("(func $start {LOOP}) (start $start)"), ..Wat::default() };
    let refused = refusal(&start);
    assert_eq!((refused.stage, refused.code), (Stage::Describe, "timeout"), "{refused}");
    assert!(refused.message.contains("start function"), "{refused}");
    let admitted = shared().admit(&Wat { prepare: LOOP.into(), ..Wat::default() }.build()).expect("admitted");
    assert_eq!(admitted.prepare("{}").expect_err("a refusal").code, "timeout");
    let call = decide(LOOP);
    assert_eq!(fault(&call).0, "timeout");
    assert_eq!(fault(&decide("unreachable")).0, "trap");
}

#[test]
fn a_host_that_is_too_slow_takes_the_blame() {
    let limits = Limits { call_wall: Duration::from_millis(30), call_cpu: Duration::from_mins(1), ..Limits::default() };
    let slow = Sandbox::new(SandboxConfig { limits, allocator: Allocator::OnDemand, ..SandboxConfig::default() })
        .expect("an engine");
    let refused = slow.admit(&Wat { describe: LOOP.into(), ..Wat::default() }.build()).expect_err("a refusal");
    assert_eq!((refused.stage, refused.code), (Stage::Describe, "host"), "{refused}");
}

#[test]
fn an_endless_loop_in_realloc_times_out() {
    let text = Wat::default().text().replace("global.get $heap\n", &format!("{LOOP} global.get $heap\n"));
    let admitted = shared().admit(&wat::parse_str(&text).expect("valid")).expect("admitted: describe takes nothing");
    assert_eq!(admitted.prepare("{}").expect_err("a refusal").code, "timeout");
}

#[test]
fn memories_and_tables_are_summed() {
    let grow = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let call = decide(grow);
    assert_eq!(fault(&call).0, "memory", "{call:?}");
    let declared = Wat { memory: r#"(memory (export "memory") 1000) (memory $second 600)"#, ..Wat::default() };
    assert_eq!(refusal(&declared).code, "memory");

    let table = Wat {
        extra: "(table $t 1 funcref)".into(),
        decide:
            "(loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 4000000)) (i32.const -1)))) \
                 unreachable"
                .into(),
        ..Wat::default()
    };
    let admitted = sandbox(Allocator::OnDemand).admit(&table.build()).expect("admitted");
    let call = admitted.decide("{}", &synthetic_observation(&Preparation::default()), &[]);
    assert_eq!(fault(&call).0, "memory", "{call:?}");
}

#[test]
fn traps_say_what_they_probably_are() {
    let call = decide("unreachable");
    assert!(fault(&call).1.contains("probably a system call: print, clock, file or random"), "{call:?}");
    let deep = Wat { extra: "(func $deep call $deep)".into(), decide: "call $deep".into(), ..Wat::default() };
    let call = decide_with(&deep, &[]);
    assert_eq!(fault(&call).0, "trap");
    assert!(fault(&call).1.contains("recursion"), "{call:?}");
    let call = decide("(drop (i32.load (i32.const -8)))");
    assert!(fault(&call).1.contains("out of bounds"), "{call:?}");
}

#[test]
fn a_log_flood_is_cut_in_number_and_length() {
    let call = decide(
        "(memory.fill (i32.const 2048) (i32.const 10) (i32.const 4096))
         (loop $again
           (call $log (i32.const 1) (i32.const 2048) (i32.const 4096))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))",
    );
    assert!(call.answer.is_ok(), "{call:?}");
    assert_eq!(call.log.len(), 64);
    assert!(call.log.iter().all(|line| line.message.len() <= 1024 && !line.message.contains('\n')));
    assert_eq!(call.log[63].message, "37 more lines were dropped");
}

#[test]
fn answers_that_mean_nothing_are_bad_answers() {
    let bad_text = "(i32.store (i32.const 1216) (i32.const 64)) (i32.store (i32.const 1220) (i32.const 6))";
    let bad_tier = "(i32.store (i32.const 1308) (i32.const 80)) (i32.store (i32.const 1312) (i32.const 8))";
    let bad_pool = "(i32.store (i32.const 1300) (i32.const 16)) (i32.store (i32.const 1304) (i32.const 4))";
    let twice =
        "(memory.copy (i32.const 1320) (i32.const 1300) (i32.const 20)) (i32.store (i32.const 1212) (i32.const 2))";
    let wild = "(i32.store (i32.const 1208) (i32.const -16))";
    // 10,000 targets, each of whose pool names is the same half megabyte.
    let lift = "(i32.store (i32.const 1208) (i32.const 600000)) (i32.store (i32.const 1212) (i32.const 10000))
        (loop $again
          (i32.store (i32.add (i32.const 600004) (i32.mul (local.get $n) (i32.const 20))) (i32.const 500000))
          (i32.store (i32.add (i32.const 600000) (i32.mul (local.get $n) (i32.const 20))) (i32.const 70000))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 10000))))";
    for (body, text) in [
        (bad_text, "utf-8"),
        (bad_tier, "tier `sideways`"),
        (bad_pool, "pool `test`"),
        (twice, "twice"),
        (wild, "contract"),
        (lift, "2048 KiB"),
    ] {
        let call = decide(body);
        assert_eq!(fault(&call).0, "bad-answer", "{call:?}");
        assert!(fault(&call).1.contains(text), "{text}: {call:?}");
    }
}

#[test]
fn reasons_notes_and_recheck_are_cut_and_states_are_bounded() {
    let call = decide(
        "(memory.fill (i32.const 2048) (i32.const 65) (i32.const 8192))
         (i32.store (i32.const 1216) (i32.const 2048)) (i32.store (i32.const 1220) (i32.const 8192))
         (i32.store (i32.const 1224) (i32.const 20000)) (i32.store (i32.const 1228) (i32.const 100))
         (loop $again
           (i32.store (i32.add (i32.const 20000) (i32.mul (local.get $n) (i32.const 16))) (i32.const 2048))
           (i32.store (i32.add (i32.const 20004) (i32.mul (local.get $n) (i32.const 16))) (i32.const 1000))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))
         (i32.store (i32.const 1248) (i32.const 1)) (i64.store (i32.const 1256) (i64.const 5))",
    );
    let answer = call.answer.expect("an answer");
    assert_eq!(answer.reason.len(), 1024);
    assert_eq!(answer.notes.len(), 32);
    assert!(answer.notes.iter().all(|(name, value)| name.len() <= 256 && value.is_empty()));
    assert_eq!(answer.recheck, Some(Span(1000)));

    let state = |bytes: u32| {
        decide(&format!(
            "(i32.store (i32.const 1232) (i32.const 1)) (i32.store (i32.const 1236) (i32.const 2048)) (i32.store (i32.const 1240) (i32.const {bytes}))"
        ))
    };
    assert_eq!(state(65536).answer.expect("an answer").state.map(|s| s.len()), Some(65536));
    assert_eq!(fault(&state(65537)).0, "state-too-large");
}

#[test]
fn nothing_survives_a_call_but_the_state_the_host_passes() {
    let wat = Wat {
        extra: "(global $calls (mut i32) (i32.const 0))".into(),
        decide: "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                 (i32.store (i32.const 900) (i32.add (i32.load (i32.const 900)) (global.get $calls)))
                 (i32.store (i32.const 1316) (i32.add (i32.load (i32.const 900)) (i32.load offset=76 (local.get $args))))"
            .into(),
        ..Wat::default()
    };
    let admitted = shared().admit(&wat.build()).expect("admitted");
    let observation = synthetic_observation(&Preparation::default());
    for state in [&b""[..], b"12345", b""] {
        let answer = admitted.decide("{}", &observation, state).answer.expect("an answer");
        assert_eq!(answer.targets[0].replicas as usize, 1 + state.len());
    }
}

#[test]
fn foreign_imports_are_refused_by_name_with_the_fix() {
    for (module, field, hint) in [
        ("wasi_snapshot_preview1", "fd_write", "-nostdlib"),
        ("env", "puts", "undefined symbols"),
        ("trimtab:policy/log@0.9.0", "write", "another version"),
        ("somebody:else/clock@1.0.0", "now", "remove the import"),
    ] {
        let imports = format!(r#"(import "{module}" "{field}" (func (param i32)))"#);
        let refused = refusal(&Wat { imports, ..Wat::default() });
        assert_eq!((refused.stage, refused.code), (Stage::Imports, "foreign-import"), "{refused}");
        assert!(refused.message.contains(&format!("`{module} {field}`")), "{refused}");
        assert!(refused.hint.contains(hint), "{refused}");
    }
    let component = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;
    let refused = shared().admit(&wat::parse_str(component).expect("valid")).expect_err("a refusal");
    assert!(
        refused.to_string().contains("`wasi:clocks/wall-clock@0.2.0`") && refused.hint.contains("--sync"),
        "{refused}"
    );
}

#[test]
fn broken_files_have_codes_of_their_own() {
    let code = |bytes: &[u8]| shared().admit(bytes).expect_err("a refusal").code;
    assert_eq!(code(b""), "empty");
    assert_eq!(code(b"\0as"), "incomplete");
    assert_eq!(code(b"\x7fELF\x02\x01\x01"), "precompiled");
    assert_eq!(code(b"<!doctype html>"), "not-wasm");
    assert_eq!(code(b"\0asm\x02\0\0\0"), "not-wasm");
    assert_eq!(code(b"\0asm\x01\0\0\0"), "not-a-policy");
    assert_eq!(code(b"\0asm\x0d\0\x01\0"), "not-a-policy");
    for bytes in
        [Wat::default().build(), shared().host.contract.wrap(&Wat::default().build(), false, 1024).expect("wrapped")]
    {
        let mut incomplete = 0;
        for end in (1..bytes.len()).step_by(7) {
            match shared().inspect(&bytes[..end]).map_err(|r| r.code) {
                Err("incomplete") => incomplete += 1,
                // Cut exactly between two sections it is a whole file, of something else.
                Err("not-a-policy") | Ok(_) => {}
                Err(other) => panic!("cut at {end}: {other}"),
            }
        }
        assert!(incomplete > bytes.len() / 10, "{incomplete} of {}", bytes.len());
    }
    let small = Limits { module_bytes: 100, ..Limits::default() };
    let small =
        Sandbox::new(SandboxConfig { limits: small, allocator: Allocator::OnDemand, ..SandboxConfig::default() })
            .expect("an engine");
    assert_eq!(small.admit(&Wat::default().build()).expect_err("a refusal").code, "too-large");
}

#[test]
fn configurations_are_checked_against_the_schema() {
    let schema = r#"{"type":"object","additionalProperties":false,"properties":{"target":{"type":"number"}}}"#;
    let describe = format!(
        "(i32.store (i32.const 1048) (i32.const 300)) (i32.store (i32.const 1052) (i32.const {}))",
        schema.len()
    );
    let admitted = shared().admit(&Wat { describe, ..Wat::default() }.build()).expect("admitted");
    admitted.check_config(&json!({"target": 8})).expect("fits");
    let issues = admitted.check_config(&json!({"target": "x", "tarhet": 1})).expect_err("issues");
    assert!(issues.iter().any(|i| i.path == "/target" && i.message.contains("number")), "{issues:?}");
    assert!(issues.iter().any(|i| i.path == "/tarhet" && i.message.contains("there are target")), "{issues:?}");
    let broken = "(i32.store (i32.const 1048) (i32.const 16)) (i32.store (i32.const 1052) (i32.const 4))";
    assert_eq!(refusal(&Wat { describe: broken.into(), ..Wat::default() }).code, "bad-schema");
}

/// Describes itself with that schema, which lies in memory from 200,000 on.
fn with_schema(schema: &str) -> Wat {
    let data = schema.replace('\\', "\\\\").replace('"', "\\\"");
    Wat {
        extra: format!("(data (i32.const 200000) \"{data}\")"),
        describe: format!(
            "(i32.store (i32.const 1048) (i32.const 200000)) (i32.store (i32.const 1052) (i32.const {}))",
            schema.len()
        ),
        ..Wat::default()
    }
}

#[test]
fn a_schema_cannot_take_the_host_down() {
    let deep = format!("{}1{}", r#"{"not":"#.repeat(5_000), "}".repeat(5_000));
    let large = format!(r#"{{"title":"{}"}}"#, "x".repeat(256 << 10));
    for (schema, usable) in [
        (r##"{"$ref":"#"}"##, None),
        (r##"{"allOf":[{"$ref":"#"}]}"##, None),
        (r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##, None),
        (r#"{"$ref":"http://127.0.0.1:9/schema.json"}"#, Some(false)),
        (r#"{"$ref":"file:///etc/passwd"}"#, Some(false)),
        (r#"{"properties":{"a":{"pattern":"(a+)+$"}}}"#, Some(true)),
        (&deep, Some(false)),
        (&large, Some(false)),
    ] {
        let admitted = shared().admit(&with_schema(schema).build());
        if let Ok(admitted) = &admitted {
            let _ = admitted.check_config(&json!({"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}));
        }
        let short = &schema[..schema.len().min(80)];
        assert!(usable.is_none_or(|usable| usable == admitted.is_ok()), "{short}: {admitted:?}");
    }
}

#[test]
fn an_observation_beyond_the_caps_is_the_hosts_fault() {
    let admitted = shared().admit(&Wat::default().build()).expect("admitted");
    let need = trimtab_control::policy::MetricNeed {
        signal: "queue-depth".into(),
        by: Vec::new(),
        within: String::new(),
        across: String::new(),
        step: Span(1_000),
        window: Span(1_000),
        required: true,
    };
    let with = |series: usize, values: usize| {
        let mut seen =
            synthetic_observation(&Preparation { needs: vec![need.clone(); series], attributes: Vec::new() });
        seen.series.iter_mut().for_each(|s| s.values = vec![1.0; values]);
        admitted.decide("{}", &seen, &[]).answer.map_err(|f| f.code)
    };
    assert!(with(256, 512).is_ok());
    assert_eq!(with(257, 1).map(|_| ()), Err("host".into()));
    assert_eq!(with(256, 513).map(|_| ()), Err("host".into()));
}

#[test]
fn nesting_is_bounded_before_anything_is_compiled() {
    let mut nested = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..200 {
        let mut size = Vec::new();
        let mut left = nested.len();
        while left > 127 {
            size.push((left & 127) as u8 | 128);
            left >>= 7;
        }
        size.push(left as u8);
        nested = [b"\0asm\x0d\0\x01\0\x04", &size[..], &nested].concat();
    }
    let refused = shared().admit(&nested).expect_err("a refusal");
    assert!(refused.message.contains("nested"), "{refused}");
}

/// One change of a file, by anything that writes files.
fn damaged(bytes: &[u8], changes: &[(u8, u32, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (kind, at, value) in changes {
        let at = *at as usize % bytes.len().max(1);
        match kind % 5 {
            0 => bytes[at] ^= value | 1,
            1 => bytes.truncate(at.max(1)),
            2 => bytes.insert(at, *value),
            3 if bytes.len() > 1 => {
                bytes.remove(at);
            }
            _ => {
                let end = (at + usize::from(*value)).min(bytes.len());
                let copied = bytes[at..end].to_vec();
                bytes.splice(at..at, copied);
            }
        }
    }
    bytes
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_file_panics_the_host(
        component in proptest::bool::ANY,
        changes in proptest::collection::vec((0_u8..10, proptest::num::u32::ANY, proptest::num::u8::ANY), 1..6),
    ) {
        static WHOLE: std::sync::OnceLock<[Vec<u8>; 2]> = std::sync::OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            let module = Wat { imports: LOG_IMPORT.into(), ..Wat::default() }.build();
            let component = shared().host.contract.wrap(&module, false, 1024).expect("wrapped");
            [module, component]
        });
        let bytes = damaged(&whole[usize::from(component)], &changes);
        if let Ok(admitted) = shared().admit(&bytes) {
            let _ = admitted.prepare("{}");
            let _ = admitted.decide("{}", &synthetic_observation(&Preparation::default()), b"state");
        }
    }
}

#[test]
fn preparations_are_capped() {
    let prepare = |count: u32, step: u64, window: u64, across_len: u32| {
        let body = format!(
            "(i32.store (i32.const 1108) (i32.const 2048)) (i32.store (i32.const 1112) (i32.const {count}))
             (loop $again
               (i32.store (i32.add (i32.const 2048) (local.get $n)) (i32.const 96))
               (i32.store (i32.add (i32.const 2052) (local.get $n)) (i32.const 11))
               (i32.store (i32.add (i32.const 2072) (local.get $n)) (i32.const 96))
               (i32.store (i32.add (i32.const 2076) (local.get $n)) (i32.const {across_len}))
               (i64.store (i32.add (i32.const 2080) (local.get $n)) (i64.const {step}))
               (i64.store (i32.add (i32.const 2088) (local.get $n)) (i64.const {window}))
               (local.set $n (i32.add (local.get $n) (i32.const 56)))
               (br_if $again (i32.lt_u (local.get $n) (i32.const {}))))",
            count * 56
        );
        let admitted = shared().admit(&Wat { prepare: body, ..Wat::default() }.build()).expect("admitted");
        admitted.prepare("{}").map(|p| p.needs.len()).map_err(|r| r.code)
    };
    assert_eq!(prepare(32, 60_000, 86_400_000, 0), Ok(32));
    assert_eq!(prepare(33, 60_000, 86_400_000, 0), Err("too-much"));
    assert_eq!(prepare(1, 1_000, 1_440_001, 0), Err("too-much"));
    assert_eq!(prepare(1, 999, 1_000, 0), Err("too-much"));
    assert_eq!(prepare(1, 60_000, 86_400_001, 0), Err("too-much"));
    assert_eq!(prepare(1, 60_000, 60_000, 5), Err("bad-answer"));
}
