//! SIGKILL of the daemon at random points under load: whether a replica was started, stopped or lost because of it,
//! whether states and cooldowns came back, and how long it took to decide again.

use std::time::{Duration, Instant};

use serde_json::json;
use trimtab_tests::daemon::Daemon;
use trimtab_tests::figures::{Chance, note, quantile_ms, tell};
use trimtab_tests::load::{Load, part, trace};
use trimtab_tests::processes::Process;
use trimtab_tests::replica::Replica;
use trimtab_tests::{http, place, ports};

fn document(name: &str, pool: &str, rest: &str) -> String {
    format!(
        "apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {{name: {name}}}
spec:
  interval: 1s
  pools:
    - {pool}
{rest}
---
"
    )
}

fn engines(bounds: &str, first: u16, last: u16) -> String {
    format!(
        "{bounds}
      startup: 1s
      process:
        command: [\"{}\", engine, --port, \"{{port}}\", --startup, 500ms]
        ports: {first}-{last}
        drain: {{grace: 3s, timeout: 30s}}",
        place::trimtab().display()
    )
}

/// Those of the fleet whose size never changes.
fn steady(daemon: &Daemon, first: u16, last: u16) -> Vec<Process> {
    let mut found = daemon.replicas();
    found.retain(|process| process.port().is_some_and(|port| (first..=last).contains(&port)));
    found.sort();
    found
}

pub(crate) fn run(kills: usize) {
    let all = ports::range(40);
    let (steady_first, steady_last) = (*all.start(), *all.start() + 9);
    let held = Replica::start(64, 0);
    let wat = std::fs::read_to_string(place::root().join("tests/tests/e2e/counter.wat")).unwrap();
    let by_load = "  metrics: [{engine: vllm}]
  policies: [{name: concurrency, config: {target: 4}}]
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 3s}}";
    let by_cooldown = "  metrics: [{engine: vllm}]
  policies: [{name: concurrency, config: {target: 8}}]
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 1h}}";
    let mut daemon = Daemon::new();
    daemon.policy("counter", &wat::parse_str(wat).unwrap());
    daemon.manifest(
        "all.yaml",
        &(document("steady", &engines("minReplicas: 3\n      maxReplicas: 3", steady_first, steady_last), by_load)
            + &document("busy", &engines("maxReplicas: 5", steady_last + 1, *all.end()), by_load)
            + &document("counter", "maxReplicas: 10000\n      dryRun: {}", "  policies: [{name: counter}]")
            + &document(
                "held",
                &format!("maxReplicas: 20\n      dryRun: {{endpoints: [{:?}]}}", held.url()),
                by_cooldown,
            )),
    );
    daemon.start();
    daemon.until_settled("default/steady", 3);
    daemon.until_desired("default/held", 8);
    held.load(8, 0);

    // Up and down all the time, so that some kills meet a change on its way.
    let waves = vec![[part(5, 14.0), part(6, 1.0)]; kills.div_ceil(4)].concat();
    let load = Load::start(&daemon.endpoints_url("default/busy"), &trace(&waves, 32, 96));
    let before = steady(&daemon, steady_first, steady_last);
    let mut chance = Chance::new(7);
    let (mut back, mut changed, mut forgot, mut went_down) = (Vec::new(), 0, 0, 0);
    for number in 1..=kills {
        std::thread::sleep(chance.duration(Duration::from_millis(2500)));
        let counted = daemon.decision("default/counter").proposal("counter", "default").unwrap();
        daemon.kill();
        let started = Instant::now();
        daemon.spawn();
        while !http::get(&daemon.url("/readyz")).is_ok_and(|answer| answer.status == 200) {
            assert!(started.elapsed() < Duration::from_mins(1), "kill {number}: it did not come back");
            std::thread::sleep(Duration::from_millis(5));
        }
        back.push(started.elapsed());
        changed += usize::from(steady(&daemon, steady_first, steady_last) != before);
        let now = daemon.decision("default/counter").proposal("counter", "default").unwrap();
        forgot += usize::from(now < counted);
        went_down += usize::from(daemon.pool("default/held").desired < 8);
        if number % 10 == 0 {
            note(&format!("{number} of {kills}"));
        }
    }
    let (report, _) = load.finish();
    daemon.until_settled("default/busy", 1);
    // Three that never change, and one: anything else was lost or forgotten.
    let left = daemon.replicas().len();
    tell(&json!({
        "measured": "kills",
        "kills": kills,
        "killsThatChangedTheSteadyReplicas": changed,
        "killsThatLostPolicyState": forgot,
        "killsThatBrokeACooldown": went_down,
        "processesAtTheEnd": left,
        "processesExpected": 4,
        "requests": report.offered,
        "failedRequests": report.failed + report.shed,
        "startToFirstDecisionsMs": {
            "p50": quantile_ms(&back, 0.5),
            "p95": quantile_ms(&back, 0.95),
            "max": quantile_ms(&back, 1.0),
        },
    }));
}
