//! A webhook target: what is asked, and what happens when it is down or says no.

use std::time::Duration;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::replica::Replica;
use trimtab_tests::wait::{always, eventually, holds};
use trimtab_tests::webhook::{Mood, Webhook};

use super::scaler;

fn manifest(webhook: &Webhook, extra: &str) -> String {
    let pool = format!("    - maxReplicas: 8\n      webhook: {{url: {:?}, timeout: 2s{extra}}}", webhook.url());
    let rest = "  metrics: [{engine: vllm}]
  policies: [{name: concurrency, config: {target: 4}}]
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 0s}}";
    scaler("chat", &pool, rest)
}

#[test]
fn it_is_asked_for_totals_with_a_generation_that_grows_and_a_reason() {
    let replicas: Vec<Replica> = (0..8).map(|_| Replica::start(4, 0)).collect();
    let webhook = Webhook::start(2, replicas.iter().map(Replica::url).collect());
    let mut daemon = Daemon::new();
    std::fs::write(daemon.folder().join("manifests/token"), "s3cret\n").unwrap();
    daemon.manifest("chat.yaml", &manifest(&webhook, ", auth: {bearerFile: token}"));
    daemon.start();
    daemon.until_decided("default/chat", "both are read", |d| {
        d.input("active-sequences").is_some_and(|i| i.value == Some(8.0))
    });
    assert!(webhook.puts().is_empty(), "nothing changed, and something was asked: {:?}", webhook.puts());

    replicas[0].load(16, 0);
    eventually("asked for more", || holds(webhook.desired() == 5, || webhook.desired().to_string()));
    let put = webhook.puts()[0].clone();
    assert_eq!((put.request.method.as_str(), put.request.path.as_str()), ("PUT", "/pools/chat"));
    assert_eq!(put.request.headers.get("authorization").map(String::as_str), Some("Bearer s3cret"));
    assert!(put.request.headers.get("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    assert_eq!((put.body["replicas"].as_u64(), put.body["standby"].as_u64()), (Some(5), Some(0)), "{}", put.body);
    let reason = put.body["reason"].as_str().unwrap();
    assert!(reason.contains("concurrency"), "{reason}");
    let id = put.body["decision"].as_str().unwrap().to_owned();
    let decision = daemon.decisions("default/chat").into_iter().find(|d| d.id == id);
    eventually("applied", || {
        let decision = daemon.decisions("default/chat").into_iter().find(|d| d.id == id).ok_or("gone")?;
        let outcome = decision.pools[0].outcome.clone();
        let applied = outcome.as_ref().is_some_and(|outcome| outcome.state == "applied");
        holds(applied, || format!("{outcome:?}")).map_err(|_| "not applied")
    });
    assert!(decision.is_some(), "no decision {id}");

    for replica in &replicas {
        replica.load(0, 0);
    }
    eventually("asked for fewer", || holds(webhook.desired() == 1, || webhook.desired().to_string()));
    let first = put.body["generation"].as_u64().unwrap();
    daemon.kill();
    daemon.start();
    replicas[0].load(32, 0);
    eventually("asked for all", || holds(webhook.desired() == 8, || webhook.desired().to_string()));
    let generations: Vec<u64> = webhook.puts().iter().map(|put| put.body["generation"].as_u64().unwrap()).collect();
    assert!(generations.is_sorted() && *generations.last().unwrap() > first, "{generations:?}");
    // Idempotent repetitions aside, another number is another generation.
    for pair in webhook.puts().windows(2) {
        let same = pair[0].body["replicas"] == pair[1].body["replicas"];
        assert!(same || pair[0].body["generation"] != pair[1].body["generation"], "{generations:?}");
    }
}

#[test]
fn while_it_is_down_nothing_is_lost_and_it_is_asked_again_when_it_is_back() {
    let replicas: Vec<Replica> = (0..8).map(|n| Replica::start(if n < 2 { 4 } else { 0 }, 0)).collect();
    let webhook = Webhook::start(2, replicas.iter().map(Replica::url).collect());
    let daemon = Daemon::with(&manifest(&webhook, ""));
    daemon.until_decided("default/chat", "both are read", |d| {
        d.input("active-sequences").is_some_and(|i| i.value == Some(8.0))
    });
    webhook.mood(Mood::Down);
    replicas[0].load(20, 0);
    eventually("a decision failed, and says so", || {
        let decisions = daemon.decisions("default/chat");
        let failed = decisions.iter().any(|d| d.pools[0].outcome.as_ref().is_some_and(|o| o.state == "failed"));
        holds(failed, || format!("{decisions:#?}"))
    });
    always(Duration::from_secs(3), "the daemon goes on", || {
        let condition = daemon.workload("default/chat").condition("Ready").clone();
        holds(!condition.reason.is_empty(), || format!("{condition:?}"))
    });
    assert_eq!(webhook.desired(), 2);
    webhook.mood(Mood::Willing);
    eventually("asked again", || holds(webhook.desired() == 6, || webhook.desired().to_string()));
    daemon.until_settled("default/chat", 6);
}

#[test]
fn a_refusal_is_told_with_its_words_and_tried_again() {
    let replicas: Vec<Replica> = (0..8).map(|_| Replica::start(4, 0)).collect();
    let webhook = Webhook::start(2, replicas.iter().map(Replica::url).collect());
    let daemon = Daemon::with(&manifest(&webhook, ""));
    webhook.mood(Mood::Refusing);
    replicas[0].load(20, 0);
    let outcome = eventually("refused, in the story", || {
        let decisions = daemon.decisions("default/chat");
        let outcomes = decisions.iter().filter_map(|d| d.pools[0].outcome.clone());
        outcomes.into_iter().find(|o| o.state == "refused").ok_or_else(|| format!("{decisions:#?}"))
    });
    assert!(outcome.message.contains("409"), "{outcome:?}");
    let told = daemon.verb(&["explain", "default/chat", "--last", "20"]);
    assert!(told.out.contains("refused"), "{}", told.out);
    let refused = daemon.metric("trimtab_actions_total", &[("workload", "chat"), ("outcome", "refused")]);
    assert!(refused >= 1.0, "{refused} refusals were counted");
    webhook.mood(Mood::Willing);
    eventually("later it says yes", || holds(webhook.desired() == 6, || webhook.desired().to_string()));
}
