//! What of the sandbox takes more than one module and one line of expectation to test; the rest is `tests/hostile`.

use std::time::Duration;

use serde_json::json;
use trimtab_control::policy::{Policy, Preparation, Target, Tier};

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
