//! A fleet of simulated engines through a burst: up, served, down again, and each step told.

use std::time::Duration;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::load::{Load, part, trace};
use trimtab_tests::wait::within;

use super::{engines, scaler, stories};

const STAGES: [&str; 3] = ["concurrency", "queue-depth", "cooldown"];

#[test]
fn a_burst_raises_the_fleet_and_its_end_lowers_it_and_no_request_fails() {
    let pool = engines("1s", "minReplicas: 1\n      maxReplicas: 6\n      startup: 2s");
    let rest = "  metrics: [{engine: vllm}]
  policies:
    - {name: concurrency, config: {target: 4}}
    - {name: queue-depth, combine: max, config: {drainWithin: 5s}}
    - {name: cooldown, config: {down: 4s}}
  guardrails:
    scaleDown: {maxStep: 2, per: 2s, cooldown: 4s}";
    let daemon = Daemon::with(&scaler("chat", &pool, rest));
    daemon.until_settled("default/chat", 1);

    let course = trace(&[part(2, 2.0), part(12, 16.0), part(12, 2.0)], 64, 128);
    let load = Load::start(&daemon.endpoints_url("default/chat"), &course);
    daemon.until_pool("default/chat", "more than two ready", |pool| pool.ready > 2);
    let (report, text) = load.finish();
    report.assert_whole(&text);
    assert!(report.peak_endpoints > 2, "{text}");

    within(Duration::from_secs(90), "back to one replica", || {
        let pool = daemon.pool("default/chat");
        let one = pool.desired == 1 && pool.ready == 1 && pool.draining == 0 && pool.starting == 0;
        if one { Ok(()) } else { Err(format!("{pool:?}")) }
    });
    daemon.until_replicas(1);

    let decisions = daemon.decisions("default/chat");
    for decision in &decisions {
        stories::assert_whole(decision, &STAGES);
        let signals: Vec<&str> = decision.inputs.iter().map(|input| input.signal.as_str()).collect();
        assert!(signals.contains(&"active-sequences") && signals.contains(&"queue-depth"), "{signals:?}");
    }
    for (what, found) in [
        ("up", decisions.iter().find(|decision| decision.goes_up())),
        ("down", decisions.iter().find(|decision| decision.goes_down())),
    ] {
        let outcome = found.and_then(|decision| decision.pools[0].outcome.clone());
        assert_eq!(outcome.map(|outcome| outcome.state).as_deref(), Some("applied"), "{what}: {decisions:#?}");
    }
    // A person reads the same story.
    let told = daemon.verb(&["explain", "default/chat"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    for word in ["Inputs", "Stages", "Guardrails", "Outcome", "active-sequences", "concurrency", "because"] {
        assert!(told.out.contains(word), "no {word}: {}", told.out);
    }
    let table = daemon.verb(&["status"]);
    assert!(table.out.contains("default/chat"), "{}{}", table.out, table.err);
}
