//! Metrics that lie, stop or never end, for five times `staleAfter`: nothing is ever scaled down because of them, the
//! story says which series was bad, and what is known still scales up.

use std::time::Duration;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::replica::{Fault, Replica};
use trimtab_tests::views::Decision;
use trimtab_tests::wait::{always, eventually, holds};

use super::{dry_run, scaler};

/// Three times the interval of 1 s.
const STALE_AFTER: Duration = Duration::from_secs(3);

/// Name, what the pages become, how many of the four replicas, and what the story may call it.
const CASES: [(&str, Fault, usize, &[&str]); 11] = [
    ("vanish", Fault::Gone, 4, &["stale", "missing"]),
    ("refuse", Fault::Hangup, 4, &["stale", "missing"]),
    ("without-names", Fault::Empty, 4, &["stale", "missing"]),
    ("freeze", Fault::Frozen, 4, &["suspicious"]),
    ("nan", Fault::Nan, 4, &["stale", "missing"]),
    ("negative", Fault::Negative, 4, &["stale", "missing", "suspicious"]),
    ("reset", Fault::Reset, 4, &["reset", "fresh", "suspicious"]),
    ("half", Fault::Gone, 2, &["partial"]),
    ("html", Fault::Html, 4, &["stale", "missing"]),
    ("hang", Fault::Hang, 4, &["stale", "missing"]),
    ("endless", Fault::Endless, 4, &["stale", "missing"]),
];

struct Case {
    id: String,
    replicas: Vec<Replica>,
    fault: Fault,
    faulty: usize,
    kinds: &'static [&'static str],
}

#[test]
fn bad_metrics_scale_nothing_down_and_are_named_and_scale_up_goes_on_afterwards() {
    let mut manifest = String::new();
    let mut cases = Vec::new();
    for (name, fault, faulty, kinds) in CASES {
        let replicas: Vec<Replica> = (0..12).map(|n| Replica::start(if n < 4 { 8 } else { 0 }, 0)).collect();
        let urls: Vec<String> = replicas.iter().map(Replica::url).collect();
        let rest = "  metrics: [{engine: vllm}]
  policies:
    - {name: concurrency, config: {target: 8}}
    - {name: queue-depth, combine: max}
  guardrails:
    scaleDown: {maxStep: 100%, per: 1s, cooldown: 0s}";
        manifest += &scaler(name, &dry_run("maxReplicas: 12", 4, &urls), rest);
        cases.push(Case { id: format!("default/{name}"), replicas, fault, faulty, kinds });
    }
    let daemon = Daemon::with(&manifest);
    for case in &cases {
        daemon.until_decided(&case.id, "read before it breaks", |d| {
            active(d).is_some_and(|(kind, value)| kind == "fresh" && value == Some(32.0))
        });
    }

    for case in &cases {
        case.replicas[..case.faulty].iter().for_each(|replica| replica.fail(case.fault));
    }
    // What a replica said last counts until it is stale. From then on those that still answer say that there is nothing to
    // do: tempting, and not enough to go by.
    let half = cases.iter().find(|case| case.faulty < 4).unwrap();
    daemon
        .until_decided(&half.id, "half of them are missing", |d| active(d).is_some_and(|(kind, _)| kind == "partial"));
    half.replicas[half.faulty..4].iter().for_each(|replica| replica.load(0, 0));
    let mut named = vec![false; cases.len()];
    always(5 * STALE_AFTER, "no scale-down", || {
        for (case, named) in cases.iter().zip(&mut named) {
            let newest = daemon.decision(&case.id);
            holds(newest.pools[0].to >= 4, || format!("{}: {newest:#?}", case.id))?;
            *named |= active(&newest).is_some_and(|(kind, _)| case.kinds.contains(&kind));
        }
        Ok::<(), String>(())
    });
    for (case, named) in cases.iter().zip(named) {
        let decisions = daemon.decisions(&case.id);
        assert!(!decisions.iter().any(Decision::goes_down), "{}: {decisions:#?}", case.id);
        assert!(named, "{}: no decision called its input one of {:?}: {:#?}", case.id, case.kinds, decisions[0]);
    }
    for id in ["default/vanish", "default/nan", "default/hang"] {
        let condition = daemon.workload(id).condition("MetricsFresh").clone();
        assert_eq!(condition.status, "False", "{id}: {condition:?}");
    }

    // From what half of them say, up, while the other half is still gone.
    half.replicas[2].load(64, 8);
    daemon.until_pool(&half.id, "up from what is known", |pool| pool.desired > 6);

    for case in &cases {
        case.replicas[..4].iter().for_each(|replica| {
            replica.fail(Fault::None);
            replica.load(16, 0);
        });
    }
    for case in &cases {
        eventually(&format!("{}: up again", case.id), || {
            let pool = daemon.pool(&case.id);
            holds(pool.desired >= 8, || format!("{pool:?}; {:#?}", daemon.decision(&case.id)))
        });
    }
}

/// Kind and value of the series that steers.
fn active(decision: &Decision) -> Option<(&str, Option<f64>)> {
    decision.input("active-sequences").map(|input| (input.kind.as_str(), input.value))
}
