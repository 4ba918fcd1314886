//! Manifests edited while the daemon runs: good ones apply, bad ones do not, and what goes away leaves its replicas.

use std::time::Duration;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::http;
use trimtab_tests::wait::{always, eventually, holds};

use super::{dry_run, engines, scaler};

fn manifest(requests: u32, bounds: &str) -> String {
    let pool = dry_run(bounds, 2, &[]);
    let rest = "  policies: [{name: concurrency, config: {target: 1, tolerance: 0}}]
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 0s}}";
    scaler("chat", &format!("{pool}\n        signals: {{active-sequences: {requests}, queue-depth: 0}}"), rest)
}

#[test]
fn a_good_edit_applies_and_a_bad_one_keeps_what_was_good_and_says_where_it_is_wrong() {
    let daemon = Daemon::with(&manifest(2, "maxReplicas: 5"));
    daemon.until_desired("default/chat", 2);
    daemon.manifest("workloads.yaml", &manifest(9, "maxReplicas: 7"));
    daemon.until_desired("default/chat", 7);

    for (wrong, word) in [
        (manifest(1, "maxReplica: 3"), "maxReplicas"),
        (manifest(1, "maxReplicas: 3").replace("concurrency", "no-such-policy"), "no-such-policy"),
        (manifest(1, "maxReplicas: 3").replace("target: 1", "target: -1"), "target"),
        ("apiVersion: [".to_owned(), "workloads.yaml:1"),
    ] {
        daemon.manifest("workloads.yaml", &wrong);
        eventually(&format!("status and log speak of {word}"), || {
            let status = http::get(&daemon.url("/v1/workloads"))?.body;
            holds(status.contains(word) && daemon.log().contains(word), || status)
        });
        let decided = daemon.until_decided("default/chat", "the loop goes on", |_| true);
        assert_eq!((decided.pools[0].from, decided.pools[0].to), (7, 7), "{word}: {decided:#?}");
        assert_eq!(daemon.pool("default/chat").max, 7, "{word}");
    }

    daemon.manifest("workloads.yaml", &manifest(3, "maxReplicas: 7"));
    daemon.until_desired("default/chat", 3);
    let workload = http::get(&daemon.url("/v1/workloads/default/chat")).unwrap().body;
    assert!(!workload.contains("workloads.yaml:"), "the mistake is mended, and still told: {workload}");
}

#[test]
fn a_document_that_goes_away_ends_its_control_and_leaves_its_replicas() {
    let pool = engines("0s", "minReplicas: 2\n      maxReplicas: 4");
    let rest = "  metrics: [{engine: vllm}]\n  policies: [{name: concurrency}]";
    let mut daemon = Daemon::new();
    daemon.manifest("stays.yaml", &manifest(2, "maxReplicas: 5").replace("name: chat", "name: stays"));
    daemon.manifest("goes.yaml", &scaler("goes", &pool, rest));
    daemon.start();
    daemon.until_settled("default/goes", 2);
    let before = daemon.until_replicas(2);
    daemon.remove_manifest("goes.yaml");
    eventually("its control has ended", || {
        let ids: Vec<String> = daemon.workloads().into_iter().map(|w| w.name).collect();
        holds(ids == ["stays"], || format!("{ids:?}"))
    });
    daemon.until_logged(&["default/goes"]);
    always(Duration::from_secs(3), "its replicas stay", || {
        let now = daemon.replicas();
        holds(now == before, || format!("{now:?}"))
    });
    // Back again: the same replicas, none new.
    daemon.manifest("goes.yaml", &scaler("goes", &pool, rest));
    eventually("controlled again", || {
        let workloads = daemon.workloads();
        holds(workloads.len() == 2, || format!("{workloads:?}"))
    });
    daemon.until_settled("default/goes", 2);
    assert_eq!(daemon.replicas(), before);
}

#[test]
fn observing_and_a_dry_run_decide_and_ask_nobody() {
    let replica = trimtab_tests::replica::Replica::start(40, 0);
    let webhook = trimtab_tests::webhook::Webhook::start(1, vec![replica.url()]);
    let pool = format!("    - maxReplicas: 8\n      webhook: {{url: {:?}}}", webhook.url());
    let rest = "  metrics: [{engine: vllm}]\n  policies: [{name: concurrency}]";
    let text = scaler("chat", &pool, rest);
    let observing = text.replace("  interval: 1s", "  interval: 1s\n  actuator: observe");
    for (text, argument) in [(observing, None), (text, Some("--dry-run"))] {
        let mut daemon = Daemon::new();
        if let Some(argument) = argument {
            daemon.argument(argument);
        }
        daemon.manifest("chat.yaml", &text);
        daemon.start();
        let decision = eventually("decided and observed", || {
            let decisions = daemon.decisions("default/chat");
            let observed = |d: &&trimtab_tests::views::Decision| {
                d.goes_up() && d.pools[0].outcome.as_ref().is_some_and(|o| o.state == "observed")
            };
            decisions.iter().find(observed).cloned().ok_or_else(|| format!("{decisions:#?}"))
        });
        assert_eq!(decision.pools[0].to, 5, "{decision:#?}");
        assert!(webhook.puts().is_empty(), "{argument:?}: {:?}", webhook.puts());
    }
}
