//! Journals: everything that led to decisions, over swaps, traps, orders, edits and kills, computed again by `replay`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trimtab_tests::daemon::{Daemon, Said, trimtab};
use trimtab_tests::policies::{digest, edition, shipped};

use super::swap::bounded_counter;
use super::{dry_run, scaler};

fn manifest(requests: u32) -> String {
    let pool = dry_run("maxReplicas: 40", 2, &[]);
    let rest = "  policies:
    - {name: steer, config: {target: 1, tolerance: 0}}
    - {name: counter, combine: max, onFailure: skip}
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 0s}}
  journal: {maxSize: 1MiB}";
    scaler("chat", &format!("{pool}\n        signals: {{active-sequences: {requests}, queue-depth: 0}}"), rest)
}

fn replay(place: &Path, more: &[&str]) -> Said {
    trimtab(&[&["replay", place.to_str().unwrap()], more].concat())
}

/// The only workload's page.
#[track_caller]
fn page(said: &Said) -> Value {
    let page: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    page["workloads"][0].clone()
}

#[track_caller]
fn assert_identical(place: &Path) -> u64 {
    let said = replay(place, &["-o", "json"]);
    let page = page(&said);
    assert_eq!((said.code, &page["identical"]), (Some(0), &Value::Bool(true)), "{page:#}");
    page["decisions"].as_u64().unwrap()
}

/// The segments, oldest first.
fn segments(state: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(state.join("journal/default/chat")).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "journal")).collect();
    files.sort();
    files
}

/// A daemon whose journal holds a swap, a version that traps and gives way, an order, an edit and a kill.
fn eventful() -> Daemon {
    let mut daemon = Daemon::new();
    let good = bounded_counter(1_000_000);
    daemon.policy("steer", &edition(&shipped("concurrency"), 0));
    daemon.policy("counter", &good);
    daemon.manifest("all.yaml", &manifest(3));
    daemon.start();
    let counted = daemon
        .until_decided("default/chat", "three decisions", |d| d.proposal("counter", "default") > Some(3))
        .proposal("counter", "default")
        .unwrap();
    let next = edition(&shipped("concurrency"), 1);
    daemon.policy("steer", &next);
    daemon.until_digest("default/chat", "steer", &digest(&next));
    let bad = bounded_counter(counted + 8);
    daemon.policy("counter", &bad);
    daemon.until_digest("default/chat", "counter", &digest(&bad));
    daemon.until_decided("default/chat", "it fails", |d| d.stages[1].error.is_some());
    daemon.until_decided("default/chat", "the one before decides", |d| d.stages[1].digest == digest(&good));
    let said = daemon.verb(&["override", "default/chat", "default=5", "--for", "3s", "--reason", "launch"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    daemon.until_desired("default/chat", 5);
    daemon.manifest("all.yaml", &manifest(30));
    daemon.until_desired("default/chat", 30);
    daemon.kill();
    daemon.start();
    daemon.until_decided("default/chat", "it goes on", |_| true);
    daemon
}

#[test]
fn swaps_traps_orders_edits_and_a_kill_are_computed_again_to_the_same_bytes() {
    let mut daemon = eventful();
    let state = daemon.state_folder().to_path_buf();
    // While it runs.
    let decisions = assert_identical(&state);
    assert!(decisions > 10, "{decisions}");
    daemon.until_decided("default/chat", "one more", |_| true);
    assert!(daemon.stop().0.success());
    let all = assert_identical(&state);
    assert!(all > decisions, "{all}");
    assert_eq!(assert_identical(&state.join("journal")), all);
    assert_eq!(assert_identical(&state.join("journal/default/chat")), all);
    let said = replay(&state, &["default/chat"]);
    assert!(said.code == Some(0) && said.out.contains("identical"), "{said:?}");
    assert!(segments(&state).len() >= 2, "a restart begins another");

    // A period, and what is not there.
    let from = page(&replay(&state, &["-o", "json"]))["to"].as_str().unwrap().to_owned();
    assert_eq!(page(&replay(&state, &["--from", &from, "-o", "json"]))["decisions"], 1);
    let said = replay(&state, &["default/other"]);
    assert!(said.code == Some(1) && said.err.contains("default/chat"), "{said:?}");
    let said = replay(daemon.folder(), &[]);
    assert!(said.code == Some(1) && said.err.contains("no journal"), "{said:?}");
}

#[test]
fn what_is_damaged_torn_or_missing_is_named_with_its_place() {
    let mut daemon = eventful();
    assert!(daemon.stop().0.success());
    let state = daemon.state_folder().to_path_buf();
    let files = segments(&state);
    let first = fs::read(&files[0]).unwrap();
    let flaw = |kind: &str, words: &[&str], serious: bool| {
        let said = replay(&state, &["-o", "json"]);
        let page = page(&said);
        let flaws = page["flaws"].as_array().unwrap();
        let found = flaws.iter().find(|flaw| flaw["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {page:#}"));
        let message = found["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert_eq!((&found["serious"], said.code), (&Value::Bool(serious), Some(i32::from(serious))), "{page:#}");
    };
    // A sample of all bits; every one of a small journal is flipped where it is written.
    for at in (0..first.len()).step_by(first.len() / 23 + 1) {
        let mut flipped = first.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&files[0], flipped).unwrap();
        flaw("damage", &["000001.journal", ", byte "], true);
    }
    fs::write(&files[0], &first[..first.len() - 40]).unwrap();
    flaw("changed", &["000001.journal", "cut"], true);
    fs::write(&files[0], &first).unwrap();

    let last = files.last().unwrap();
    let whole = fs::read(last).unwrap();
    fs::write(last, &whole[..whole.len() - 20]).unwrap();
    flaw("torn", &[last.file_name().unwrap().to_str().unwrap(), "torn"], false);
    fs::write(last, &whole).unwrap();

    let module = fs::read_dir(state.join("journal/modules")).unwrap().map(|e| e.unwrap().path()).next().unwrap();
    let bytes = fs::read(&module).unwrap();
    let mut flipped = bytes.clone();
    flipped[100] ^= 4;
    fs::write(&module, flipped).unwrap();
    flaw("module", &["sha256:", "damaged"], true);
    fs::write(&module, bytes).unwrap();
    assert_identical(&state);
}

#[test]
fn another_policy_or_manifest_is_compared_on_the_same_inputs_in_an_open_loop() {
    let mut daemon = eventful();
    assert!(daemon.stop().0.success());
    let state = daemon.state_folder().to_path_buf();
    let file = daemon.folder().join("fewer.yaml");
    fs::write(&file, manifest(3).replace("target: 1", "target: 3")).unwrap();
    let said = replay(&state, &["-f", file.to_str().unwrap(), "-o", "json"]);
    let pools = page(&said)["pools"].clone();
    let hours = |which: &str| pools[0][which].as_f64().unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(hours("computedReplicaHours") < hours("recordedReplicaHours"), "{pools:#}");

    let (other, plot) = (daemon.folder().join("other.wasm"), daemon.folder().join("plot.svg"));
    fs::write(&other, shipped("warm-buffer")).unwrap();
    fs::write(daemon.folder().join("empty.wasm"), b"").unwrap();
    let named = format!("counter={}", other.display());
    let said = replay(&state, &["--policy", &named, "--plot", plot.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("open loop") && said.out.contains("COMPUTED"), "{}", said.out);
    let picture = fs::read_to_string(&plot).unwrap();
    for word in ["<svg", "open loop", "default/chat, pool default", "recorded", "computed", "time, UTC"] {
        assert!(picture.contains(word), "{word}: {picture}");
    }
    // The same policy in its own place makes no difference.
    let own = daemon.folder().join("own.wasm");
    fs::write(&own, edition(&shipped("concurrency"), 7)).unwrap();
    let said = replay(&state, &["--policy", &format!("steer={}", own.display()), "-o", "json"]);
    assert_eq!(page(&said)["pools"][0]["different"], 0, "{}", said.out);

    for (arguments, word) in [
        (vec!["--policy", "nobody=x.wasm"], "cannot read"),
        (vec!["--policy", "nobody=own.wasm"], "no stage"),
        (vec!["--policy", "steer=empty.wasm"], "empty"),
        (vec!["--plot", "x.svg"], "nothing to compare"),
    ] {
        let arguments: Vec<String> = arguments
            .into_iter()
            .map(|a| a.replace("own.wasm", own.to_str().unwrap()))
            .map(|a| a.replace("empty.wasm", daemon.folder().join("empty.wasm").to_str().unwrap()))
            .collect();
        let said = replay(&state, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(said.code != Some(0) && said.err.contains(word), "{arguments:?}: {said:?}");
    }
}
