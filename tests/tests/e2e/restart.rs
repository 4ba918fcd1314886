//! The daemon killed and started again: no replica notices, and nothing is forgotten.

use std::time::Duration;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::load::{Load, part, trace};
use trimtab_tests::processes::Process;
use trimtab_tests::wait::always;

use super::{dry_run, engines, scaler};

/// Without order.
fn sorted(mut processes: Vec<Process>) -> Vec<Process> {
    processes.sort();
    processes
}

#[test]
fn a_killed_daemon_comes_back_to_the_same_replicas_states_and_cooldowns() {
    let pool = engines("0s", "minReplicas: 1\n      maxReplicas: 4\n      startup: 1s");
    let steered = "  metrics: [{engine: vllm}]
  policies: [{name: concurrency, config: {target: 4}}]
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 30m}}";
    let counted = "  policies: [{name: counter}]";
    let mut daemon = Daemon::new();
    daemon.policy("counter", &wat::parse_str(include_str!("counter.wat")).unwrap());
    let memory = dry_run("maxReplicas: 1000", 1, &[]);
    daemon.manifest("all.yaml", &(scaler("chat", &pool, steered) + &scaler("counter", &memory, counted)));
    daemon.start();
    daemon.until_settled("default/chat", 1);
    let load = Load::start(&daemon.endpoints_url("default/chat"), &trace(&[part(14, 10.0)], 32, 128));
    daemon.until_pool("default/chat", "raised by the load", |pool| pool.desired > 1 && pool.ready == pool.desired);

    for round in 0..3 {
        let seen = daemon.decision("default/counter").proposal("counter", "default").unwrap();
        let before = sorted(daemon.replicas());
        daemon.kill();
        assert_eq!(sorted(daemon.replicas()), before, "round {round}: replicas outlive the daemon");
        daemon.start();
        let now = daemon.decision("default/counter").proposal("counter", "default").unwrap();
        assert!(now >= seen, "round {round}: the state went back from {seen} to {now}");
        let lost: Vec<&Process> = before.iter().filter(|process| !process.runs()).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }
    let (report, text) = load.finish();
    report.assert_whole(&text);

    // The load is gone, and only the cooldown of an increase before the kills holds the fleet.
    let wanted = daemon.until_decided("default/chat", "the policy wants fewer", |d| {
        d.proposal("concurrency", "default").is_some_and(|replicas| replicas < d.pools[0].from)
    });
    assert!(!wanted.bites("cooldown").is_empty(), "{wanted:#?}");
    let (desired, before) = (daemon.pool("default/chat").desired, sorted(daemon.replicas()));
    daemon.kill();
    daemon.start();
    let wanted = daemon.until_decided("default/chat", "it still wants fewer", |d| {
        d.proposal("concurrency", "default").is_some_and(|replicas| replicas < d.pools[0].from)
    });
    assert!(!wanted.bites("cooldown").is_empty(), "{wanted:#?}");
    always(Duration::from_secs(3), "the same replicas", || {
        let now = sorted(daemon.replicas());
        if now == before { Ok(()) } else { Err(format!("{before:?} became {now:?}")) }
    });
    assert_eq!(daemon.pool("default/chat").desired, desired);
}

#[test]
fn a_term_ends_the_daemon_at_once_and_leaves_the_replicas() {
    let pool = engines("0s", "minReplicas: 2\n      maxReplicas: 4");
    let manifest = scaler("chat", &pool, "  metrics: [{engine: vllm}]\n  policies: [{name: concurrency}]");
    let mut daemon = Daemon::with(&manifest);
    daemon.until_settled("default/chat", 2);
    let before = sorted(daemon.replicas());
    let (status, took) = daemon.stop();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    assert_eq!(sorted(daemon.replicas()), before);
    daemon.start();
    daemon.until_settled("default/chat", 2);
    assert_eq!(sorted(daemon.replicas()), before);
}

#[test]
fn stop_replicas_ends_them_with_the_daemon() {
    let pool = engines("0s", "minReplicas: 2\n      maxReplicas: 4");
    let mut daemon = Daemon::new();
    daemon.argument("--stop-replicas");
    daemon.manifest(
        "chat.yaml",
        &scaler("chat", &pool, "  metrics: [{engine: vllm}]\n  policies: [{name: concurrency}]"),
    );
    daemon.start();
    daemon.until_settled("default/chat", 2);
    daemon.stop();
    daemon.until_replicas(0);
}
