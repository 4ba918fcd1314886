//! A policy that is asked beside a stage: recorded, compared, counted, and never followed.

use serde_json::Value;
use trimtab_tests::daemon::Daemon;
use trimtab_tests::policies::{digest, edition, shipped};
use trimtab_tests::wait::{eventually, holds};

use super::swap::bounded_counter;
use super::{dry_run, scaler};

const REST: &str = "  policies: [{name: concurrency, config: {target: 1, tolerance: 0}, shadow: next}]
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 0s}}
  journal: {maxSize: 8MiB}";

/// The newest decision's shadow.
fn shadow(daemon: &Daemon) -> Value {
    let page: Value = daemon.get("/v1/workloads/default/chat/decisions?last=1");
    page["decisions"][0]["stages"][0]["shadow"].clone()
}

#[track_caller]
fn until_counted(daemon: &Daemon, outcome: &str) {
    let labels = [("namespace", "default"), ("workload", "chat"), ("stage", "concurrency"), ("outcome", outcome)];
    eventually(&format!("a shadow call with outcome {outcome}"), || {
        let calls = daemon.series("trimtab_shadow_calls_total", &labels);
        holds(calls.iter().any(|s| s.value >= 1.0), || format!("{calls:?}"))
    });
}

#[test]
fn a_shadow_is_asked_and_compared_and_never_followed() {
    let mut daemon = Daemon::new();
    let pool = dry_run("maxReplicas: 9", 3, &[]) + "\n        signals: {active-sequences: 3, queue-depth: 0}";
    daemon.manifest("all.yaml", &scaler("chat", &pool, REST));
    // That it is not there keeps nothing from starting.
    daemon.start();
    let page: Value = daemon.get("/v1/workloads/default/chat");
    assert!(page["problems"].to_string().contains("shadow `next`"), "{page:#}");
    until_counted(&daemon, "error");
    assert_eq!(shadow(&daemon)["error"]["code"], "not-found", "{:#}", shadow(&daemon));

    let same = edition(&shipped("concurrency"), 5);
    daemon.policy("next", &same);
    eventually("it is asked", || {
        let said = shadow(&daemon);
        holds(said["digest"] == digest(&same).as_str() && said["error"].is_null(), || format!("{said:#}"))
    });
    until_counted(&daemon, "same");
    let page: Value = daemon.get("/v1/workloads/default/chat");
    assert!(!page["problems"].to_string().contains("shadow"), "{page:#}");
    let said = daemon.verb(&["explain", "default/chat"]);
    assert!(said.out.contains("shadow next") && said.out.contains("would propose the same"), "{}", said.out);

    // One that wants more and more, and then traps.
    daemon.policy("next", &bounded_counter(30));
    until_counted(&daemon, "differs");
    let said = daemon.verb(&["explain", "default/chat"]);
    assert!(said.out.contains("would propose default serving"), "{}", said.out);
    let decisions = daemon.decisions("default/chat");
    assert!(decisions.iter().all(|d| d.pools[0].to == 3), "{decisions:#?}");
    let workload = daemon.workload("default/chat");
    assert_eq!(workload.condition("PoliciesLoaded").status, "True");
    assert!(daemon.stop().0.success());
    let said = trimtab_tests::daemon::trimtab(&["replay", daemon.state_folder().to_str().unwrap()]);
    assert!(said.code == Some(0) && said.out.contains("identical"), "{said:?}");
}
