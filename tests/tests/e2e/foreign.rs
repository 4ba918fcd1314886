//! Policies of people who have no SDK: written by hand against `docs/abi.md`, and in plain C.

use std::process::Command;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::place;
use trimtab_tests::policies::digest;
use trimtab_tests::views::Decision;

use super::{dry_run, scaler};

/// A workload in memory, steered by `module` alone, with these signals.
fn steered(module: &[u8], signals: &str) -> Daemon {
    let pool = format!("{}\n        signals: {signals}", dry_run("maxReplicas: 20", 1, &[]));
    let mut daemon = Daemon::new();
    daemon.policy("own", module);
    daemon.manifest("chat.yaml", &scaler("chat", &pool, "  policies: [{name: own}]"));
    daemon.start();
    daemon.until_digest("default/chat", "own", &digest(module));
    daemon
}

#[test]
fn a_module_written_by_hand_in_wat_steers_a_workload() {
    let text = std::fs::read_to_string(place::root().join("tests/guests/hand.wat")).unwrap();
    let daemon = steered(&wat::parse_str(text).unwrap(), "{queue-depth: 13}");
    daemon.until_desired("default/chat", 4);
    let decision = daemon.decisions("default/chat").into_iter().find(Decision::goes_up).unwrap();
    assert_eq!(decision.stages[0].reason, "one replica for every four waiting requests");
    assert!(!decision.stages[0].log.is_empty(), "its log line is part of the story: {decision:#?}");
}

#[test]
fn a_module_in_c_without_a_library_steers_a_workload() {
    let name = "a_module_in_c_without_a_library_steers_a_workload";
    let Some(clang) = place::program(&["clang-19", "clang"]) else {
        place::skip(name, "no clang-19 on the path; install clang-19 and lld-19");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let built = folder.path().join("policy.wasm");
    let output = Command::new(clang)
        .args(["--target=wasm32", "-O2", "-nostdlib", "-ffreestanding", "-Wl,--no-entry", "-o"])
        .arg(&built)
        .arg(place::root().join("tests/guests/c/policy.c"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let daemon = steered(&std::fs::read(&built).unwrap(), "{active-sequences: 30, queue-depth: 10}");
    daemon.until_desired("default/chat", 5);
    let decision = daemon.decisions("default/chat").into_iter().find(Decision::goes_up).unwrap();
    assert_eq!(decision.stages[0].reason, "eight requests a replica");
}
