//! Replicas that die, and replicas that do not answer: the first is the target's to repair, the second is reported and
//! holds nobody up.

use trimtab_tests::daemon::Daemon;
use trimtab_tests::replica::{Fault, Replica};
use trimtab_tests::views::Decision;
use trimtab_tests::wait::{eventually, holds};

use super::{dry_run, engines, scaler};

#[test]
fn a_server_that_is_killed_comes_back_without_a_decision() {
    let pool = engines("0s", "minReplicas: 3\n      maxReplicas: 6\n      startup: 1s");
    let daemon = Daemon::with(&scaler("chat", &pool, "  metrics: [{engine: vllm}]\n  policies: [{name: concurrency}]"));
    daemon.until_settled("default/chat", 3);
    let before = daemon.until_replicas(3);
    before[1].kill();
    let after = eventually("another in its place", || {
        let seen = daemon.replicas();
        let back = seen.len() == 3 && !seen.contains(&before[1]);
        if back { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    daemon.until_settled("default/chat", 3);
    assert!(after.contains(&before[0]) && after.contains(&before[2]), "the others were left alone: {after:?}");
    let decisions = daemon.decisions("default/chat");
    assert!(!decisions.iter().any(Decision::goes_down), "{decisions:#?}");
}

#[test]
fn a_server_that_hangs_on_its_metrics_is_reported_and_the_others_steer_on() {
    // The first three are there at the start; those that come later have nothing to do.
    let replicas: Vec<Replica> = (0..9).map(|n| Replica::start(if n < 3 { 8 } else { 0 }, 0)).collect();
    let urls: Vec<String> = replicas.iter().map(Replica::url).collect();
    let rest = "  metrics: [{engine: vllm}]
  policies: [{name: concurrency, config: {target: 8}}]
  guardrails:
    staleAfter: 2s
    silentAfter: 12s
    scaleDown: {maxStep: 100%, per: 1s, cooldown: 0s}";
    let daemon = Daemon::with(&scaler("chat", &dry_run("maxReplicas: 9", 3, &urls), rest));
    daemon.until_decided("default/chat", "all three are read", |d| {
        d.input("active-sequences").is_some_and(|i| i.kind == "fresh" && i.value == Some(24.0))
    });

    // What it said last counts until it is stale; then it is missing.
    replicas[0].fail(Fault::Hang);
    let partial = |d: &Decision| d.input("active-sequences").is_some_and(|i| i.kind == "partial");
    daemon.until_decided("default/chat", "one is missing", partial);
    // The others would like to shrink: not while one is missing.
    replicas[1].load(0, 0);
    replicas[2].load(0, 0);
    let held = daemon
        .until_decided("default/chat", "held for the missing one", |d| partial(d) && !d.bites("staleness").is_empty());
    assert!(!held.goes_down(), "{held:#?}");
    let condition = daemon.workload("default/chat").condition("MetricsFresh").clone();
    assert_eq!(condition.status, "False", "{condition:?}");
    eventually("the scrape's failure is counted", || {
        let failures = daemon.series("trimtab_scrape_failures_total", &[]);
        holds(failures.iter().any(|s| s.value > 0.0), || format!("{failures:?}"))
    });
    assert_eq!(daemon.pool("default/chat").desired, 3);

    // What is known may still ask for more, at once.
    replicas[1].load(24, 8);
    daemon.until_pool("default/chat", "more, while one hangs", |pool| pool.desired > 3);

    // Once it is silent it leaves the count, is named, and holds nothing back.
    replicas[1].load(0, 0);
    eventually("said to be silent", || {
        let condition = daemon.workload("default/chat").condition("MetricsFresh").clone();
        holds(condition.reason == "SilentReplicas" || daemon.pool("default/chat").desired < 3, || {
            format!("{condition:?}")
        })
    });
    daemon.until_pool("default/chat", "fewer than it had", |pool| pool.desired < 3);
}

#[test]
fn one_endpoint_that_hangs_delays_no_other_workload() {
    let (hanging, well) = (Replica::start(8, 0), Replica::start(8, 0));
    let rest = "  metrics: [{engine: vllm}]\n  policies: [{name: concurrency, config: {target: 8}}]";
    let both = scaler("hanging", &dry_run("maxReplicas: 9", 1, &[hanging.url()]), rest)
        + &scaler("well", &dry_run("maxReplicas: 9", 1, &[well.url()]), rest);
    hanging.fail(Fault::Hang);
    let daemon = Daemon::with(&both);
    let asked = well.served();
    eventually("the other is read on", || {
        let served = well.served();
        holds(served > asked + 5, || format!("{served} requests"))
    });
    well.load(80, 0);
    daemon.until_desired("default/well", 9);
    for name in ["hanging", "well"] {
        let missed = daemon.metric("trimtab_ticks_missed_total", &[("workload", name)]);
        assert!(missed <= 2.0, "{name}: {missed} ticks were missed");
    }
    assert_eq!(daemon.pool("default/hanging").desired, 1);
}
