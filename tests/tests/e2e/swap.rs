//! Policies swapped while they run, and everything that may lie under a policy's name instead of one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::load::{Load, part, trace};
use trimtab_tests::policies::{digest, edition, shipped};
use trimtab_tests::wait::{eventually, holds};

use super::{dry_run, engines, scaler};

#[test]
fn swaps_by_rename_under_load_serve_at_once_and_miss_no_tick() {
    let pool = engines("0s", "minReplicas: 1\n      maxReplicas: 4\n      startup: 1s");
    let rest = "  metrics: [{engine: vllm}]\n  policies: [{name: steer, config: {target: 8}}]";
    let mut daemon = Daemon::new();
    let module = shipped("concurrency");
    daemon.policy("steer", &edition(&module, 0));
    // Two seconds: a machine that is busy with other tests may be late, a swap must not make it so.
    daemon.manifest("chat.yaml", &scaler("chat", &pool, rest).replace("interval: 1s", "interval: 2s"));
    daemon.start();
    daemon.until_settled("default/chat", 1);
    let load = Load::start(&daemon.endpoints_url("default/chat"), &trace(&[part(10, 8.0)], 32, 64));
    for number in 1..=5 {
        let next = edition(&module, number);
        daemon.policy("steer", &next);
        daemon.until_digest("default/chat", "steer", &digest(&next));
        // The very bytes that were dropped decide.
        let decision =
            daemon.until_decided("default/chat", "decided by the new one", |d| d.stages[0].digest == digest(&next));
        assert!(decision.stages[0].error.is_none(), "{decision:#?}");
    }
    let (report, text) = load.finish();
    report.assert_whole(&text);
    assert_eq!(daemon.metric("trimtab_ticks_missed_total", &[("workload", "chat")]), 0.0);
    let loads = daemon.metric("trimtab_policy_loads_total", &[("policy", "steer"), ("result", "ok")]);
    assert!(loads >= 5.0, "{loads} loads were counted");
    let info = daemon.series("trimtab_policy_info", &[("policy", "steer")]);
    assert_eq!(info.len(), 1, "one version is told at a time: {info:?}");
}

/// What lies under the name, and a word of what must be said about it.
type Wrong = (&'static str, &'static str, fn(&Path, &Path));

/// Each is given where the policy lies, and a good module outside of the watched directory.
const WRONG: [Wrong; 9] = [
    ("truncated", "middle of a section", |path, _| {
        let module = shipped("concurrency");
        trimtab_tests::policies::put(path, &module[..module.len() / 2]);
    }),
    ("empty", "file is empty", |path, _| trimtab_tests::policies::put(path, b"")),
    ("text", "not WebAssembly", |path, _| trimtab_tests::policies::put(path, b"#!/bin/sh\necho policy\n")),
    ("foreign-import", "wasi_snapshot_preview1", |path, _| trimtab_tests::policies::put(path, &foreign())),
    ("trap", "trap", |path, _| trimtab_tests::policies::put(path, &trapping())),
    ("deleted", "file is gone", |path, _| fs::remove_file(path).unwrap()),
    ("directory", "a directory", |path, _| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("fifo", "a FIFO", |path, _| {
        fs::remove_file(path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }),
    ("outside", "leaves the policies directory", |path, outside| {
        fs::remove_file(path).unwrap();
        symlink(outside, path).unwrap();
    }),
];

/// A good module that wants more than the package gives.
fn foreign() -> Vec<u8> {
    let text = fs::read_to_string(trimtab_tests::place::root().join("tests/guests/hand.wat")).unwrap();
    let import =
        "(module\n  (import \"wasi_snapshot_preview1\" \"clock_time_get\" (func (param i32 i64 i32) (result i32)))";
    wat::parse_str(text.replacen("(module", import, 1)).unwrap()
}

/// A good module but for its `decide`, which the probe calls.
fn trapping() -> Vec<u8> {
    let text =
        include_str!("counter.wat").replace(";; state at 72 of the arguments: four bytes, or none", "(unreachable)");
    wat::parse_str(text).unwrap()
}

#[test]
fn whatever_lies_under_its_name_the_last_good_policy_serves_on_and_the_reason_is_told() {
    let mut daemon = Daemon::new();
    let outside = daemon.folder().join("outside.wasm");
    fs::write(&outside, edition(&shipped("concurrency"), 1000)).unwrap();
    let mut manifest = String::new();
    for (name, ..) in WRONG {
        let pool =
            format!("{}\n        signals: {{active-sequences: 20, queue-depth: 0}}", dry_run("maxReplicas: 9", 3, &[]));
        manifest +=
            &scaler(name, &pool, &format!("  policies: [{{name: steer, policy: {name}, config: {{target: 8}}}}]"));
    }
    daemon.manifest("all.yaml", &manifest);
    let good = |number: usize| edition(&shipped("concurrency"), u32::try_from(number).unwrap());
    for (number, (name, ..)) in WRONG.iter().enumerate() {
        daemon.policy(name, &good(number));
    }
    daemon.start();
    for (number, (name, ..)) in WRONG.iter().enumerate() {
        daemon.until_digest(&format!("default/{name}"), "steer", &digest(&good(number)));
        assert_eq!(daemon.pool(&format!("default/{name}")).desired, 3, "{name}");
    }

    for (name, _, drop_it) in WRONG {
        drop_it(&daemon.policies_folder().join(format!("{name}.wasm")), &outside);
    }
    for (number, (name, word, _)) in WRONG.iter().enumerate() {
        assert_last_good(&daemon, name, word, &digest(&good(number)));
        daemon.until_logged(&[name, word]);
        eventually(&format!("{name}: its refusal is counted"), || {
            let loads = daemon.series("trimtab_policy_loads_total", &[("policy", name)]);
            let refused = loads.iter().any(|s| s.value >= 1.0 && s.labels.get("result").is_some_and(|r| r != "ok"));
            holds(refused, || format!("{loads:?}"))
        });
    }

    daemon.kill();
    daemon.start();
    for (number, (name, word, _)) in WRONG.iter().enumerate() {
        assert_last_good(&daemon, name, word, &digest(&good(number)));
        let decided = daemon.decision(&format!("default/{name}"));
        assert!(decided.stages[0].error.is_none(), "{name}: {decided:#?}");
    }

    // A good file ends it.
    daemon.policy("truncated", &good(100));
    daemon.until_digest("default/truncated", "steer", &digest(&good(100)));
}

/// The good version serves, status says why it is not the newest, and nobody was started or stopped.
#[track_caller]
fn assert_last_good(daemon: &Daemon, name: &str, word: &str, digest: &str) {
    let id = format!("default/{name}");
    eventually(&format!("{name}: the last good version, and why"), || {
        let workload = daemon.workload(&id);
        let stage = workload.stage("steer");
        let known = daemon.policies().into_iter().find(|policy| policy.name == name).ok_or("no such policy")?;
        let says = |message: &Option<String>| message.as_ref().is_some_and(|m| m.contains(word));
        let told = says(&stage.message) || says(&known.message);
        let serves = stage.digest.as_deref() == Some(digest) && known.digest.as_deref() == Some(digest);
        let kept = stage.state == "last-good" && known.state == "last-good";
        holds(told && serves && kept, || format!("{stage:?} {known:?}"))
    });
    let pool = daemon.pool(&id);
    assert_eq!((pool.desired, pool.ready), (3, 3), "{name}: {pool:?}");
    let decisions = daemon.decisions(&id);
    assert!(decisions.iter().all(|d| d.pools[0].from == 3 && d.pools[0].to == 3), "{name}: {decisions:#?}");
}

/// A counter that works until it has counted so far.
pub(super) fn bounded_counter(most: u32) -> Vec<u8> {
    let counted = "(i32.store (i32.const 640) (local.get $count))";
    let bound = format!("(if (i32.gt_u (local.get $count) (i32.const {most})) (then (unreachable))) {counted}");
    wat::parse_str(include_str!("counter.wat").replace(counted, &bound)).unwrap()
}

#[test]
fn a_version_that_fails_before_it_is_confirmed_gives_way_to_the_one_before_and_its_state() {
    let mut daemon = Daemon::new();
    let good = bounded_counter(1_000_000);
    daemon.policy("counter", &good);
    daemon
        .manifest("all.yaml", &scaler("chat", &dry_run("maxReplicas: 1000", 1, &[]), "  policies: [{name: counter}]"));
    daemon.start();
    let counted = daemon
        .until_decided("default/chat", "three decisions", |d| d.proposal("counter", "default") > Some(3))
        .proposal("counter", "default")
        .unwrap();
    // The trial decision passes, and some after it.
    let bad = bounded_counter(counted + 4);
    daemon.policy("counter", &bad);
    daemon.until_digest("default/chat", "counter", &digest(&bad));
    daemon.until_decided("default/chat", "it fails", |d| d.stages[0].error.is_some());
    daemon.until_logged(&["given up", "trap"]);
    let decision =
        daemon.until_decided("default/chat", "the one before decides", |d| d.stages[0].digest == digest(&good));
    let now = decision.proposal("counter", "default").unwrap();
    assert!(now > counted && now < counted + 4, "from {counted} to {now}: what the failed one counted is not kept");
    assert_eq!(daemon.workload("default/chat").stage("counter").state, "last-good");
    let known = daemon.policies().into_iter().find(|policy| policy.name == "counter").unwrap();
    assert!(known.message.as_ref().is_some_and(|m| m.contains("default/chat refuses it")), "{known:?}");
    // The next version gets its chance.
    let mended = bounded_counter(2_000_000);
    daemon.policy("counter", &mended);
    daemon.until_digest("default/chat", "counter", &digest(&mended));
}
