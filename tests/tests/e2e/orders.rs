//! People in charge: pause, override, resume and wake, each with an end, a reason and a line for the audit.

use std::time::Duration;

use serde_json::json;
use trimtab_tests::daemon::{Daemon, trimtab};
use trimtab_tests::place;
use trimtab_tests::views::Decision;
use trimtab_tests::wait::{always, eventually, holds};

use super::{dry_run, scaler};

/// Follows the signal at once, both ways.
const REST: &str = "  policies: [{name: concurrency, config: {target: 1, tolerance: 0}}]
  guardrails: {scaleDown: {maxStep: 100%, per: 1s, cooldown: 0s}}";

fn manifest(requests: u32) -> String {
    let pool = dry_run("maxReplicas: 9", 2, &[]);
    scaler("chat", &format!("{pool}\n        signals: {{active-sequences: {requests}, queue-depth: 0}}"), REST)
}

#[test]
fn a_pause_stops_everything_until_it_ends_or_is_ended() {
    let daemon = Daemon::with(&manifest(2));
    daemon.until_desired("default/chat", 2);
    let said = daemon.verb(&["pause", "default/chat", "--for", "10m", "--reason", "maintenance of rack 7"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(daemon.workload("default/chat").condition("Paused").status, "True");
    daemon.manifest("workloads.yaml", &manifest(6));
    let held = daemon.until_decided("default/chat", "six are proposed and nothing changes", |d| {
        d.proposal("concurrency", "default") == Some(6)
    });
    assert!(!held.bites("pause").is_empty(), "{held:#?}");
    always(Duration::from_secs(3), "paused", || {
        let pool = daemon.pool("default/chat");
        holds(pool.desired == 2, || format!("{pool:?}"))
    });
    daemon.until_logged(&["default/chat", "maintenance of rack 7"]);
    let said = daemon.verb(&["resume", "default/chat", "--reason", "rack 7 is back"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    daemon.until_desired("default/chat", 6);
    assert_eq!(daemon.workload("default/chat").condition("Paused").status, "False");
    daemon.until_logged(&["default/chat", "rack 7 is back"]);

    // It ends by itself, too.
    daemon.verb(&["pause", "default/chat", "--for", "3s"]);
    daemon.manifest("workloads.yaml", &manifest(3));
    eventually("the pause is over", || {
        let condition = daemon.workload("default/chat").condition("Paused").clone();
        holds(condition.status == "False", || format!("{condition:?}"))
    });
    daemon.until_desired("default/chat", 3);
}

#[test]
fn an_override_stands_for_its_time_within_the_bounds_and_outlives_a_restart() {
    let mut daemon = Daemon::with(&manifest(2));
    let said = daemon.verb(&["override", "default/chat", "default=5", "--for", "30m", "--reason", "launch at noon"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    daemon.until_desired("default/chat", 5);
    daemon.until_logged(&["default/chat", "launch at noon"]);
    let decision = daemon.decisions("default/chat").into_iter().find(Decision::goes_up).unwrap();
    assert!(!decision.bites("override").is_empty(), "{decision:#?}");
    daemon.kill();
    daemon.start();
    daemon.until_desired("default/chat", 5);
    // Beyond the bounds it does not reach.
    daemon.verb(&["override", "default/chat", "default=50"]);
    daemon.until_desired("default/chat", 9);
    let unknown = daemon.verb(&["override", "default/chat", "other=3"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.out);
    assert!(unknown.err.contains("other"), "{}", unknown.err);
    let short = json!({"forSeconds": 2, "reason": "short", "pools": {"default": 7}});
    let answer = daemon.post("/v1/workloads/default/chat/override", &short);
    assert_eq!(answer.status, 200, "{answer:?}");
    daemon.until_desired("default/chat", 7);
    // When it has ended, the policies are heard again.
    daemon.until_desired("default/chat", 2);
}

#[test]
fn a_wake_raises_the_floor_of_a_pool_that_may_sleep() {
    let pool = "    - minReplicas: 0
      maxReplicas: 4
      scaleToZero: {after: 1s, wakeOn: [{http: true}], wakeReplicas: 2, hold: 10m}
      dryRun: {replicas: 1, signals: {active-sequences: 0, queue-depth: 0}}";
    let daemon = Daemon::with(&scaler("chat", pool, REST));
    daemon.until_desired("default/chat", 0);
    let said = daemon.verb(&["wake", "default/chat", "--reason", "batch job starts"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    daemon.until_desired("default/chat", 2);
    daemon.until_logged(&["default/chat", "batch job starts"]);
    let decision = daemon.decision("default/chat");
    assert!(decision.guardrails.iter().any(|rule| rule.rule == "wake"), "{decision:#?}");
}

#[test]
fn orders_that_make_no_sense_are_refused_and_change_nothing() {
    let daemon = Daemon::with(&manifest(2));
    daemon.until_desired("default/chat", 2);
    let path = "/v1/workloads/default/chat/override";
    for body in [json!({}), json!({"pools": {"default": -1}}), json!({"pools": {}, "forSeconds": 5}), json!([1])] {
        let answer = daemon.post(path, &body);
        assert!((400..500).contains(&answer.status), "{body}: {answer:?}");
        assert!(answer.content_type.starts_with("application/problem+json"), "{body}: {answer:?}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = trimtab_tests::http::send("POST", &daemon.url(path), &form, "pools=1").unwrap();
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let elsewhere = [("content-type", "application/json"), ("host", "evil.example:80")];
    let answer =
        trimtab_tests::http::send("POST", &daemon.url(path), &elsewhere, r#"{"pools":{"default":5}}"#).unwrap();
    assert!((400..500).contains(&answer.status), "a foreign Host was taken: {answer:?}");
    assert_eq!(daemon.pool("default/chat").desired, 2);
}

#[test]
fn verbs_talk_to_a_daemon_behind_tls_and_a_token() {
    let certificates = place::root().join("runtime/live/src/admin/tests");
    let at = |name: &str| certificates.join(name).display().to_string();
    let mut daemon = Daemon::new();
    daemon.manifest("workloads.yaml", &manifest(2));
    let token = daemon.folder().join("token");
    std::fs::write(&token, "correct-horse-battery-staple\n").unwrap();
    let token = token.display().to_string();
    for argument in ["--tls-cert", &at("server.pem"), "--tls-key", &at("server-key.pem"), "--token-file", &token] {
        daemon.argument(argument);
    }
    daemon.spawn();
    let server = format!("https://localhost:{}", daemon.port());
    let call = |more: &[&str]| trimtab(&[&["status", "-o", "json", "--server", &server], more].concat());
    let said = eventually("the first decision", || {
        let said = call(&["--ca-file", &at("server.pem"), "--token-file", &token]);
        holds(said.code == Some(0) && said.out.contains("\"desired\":2"), || format!("{said:?}")).map(|()| said)
    });
    assert_eq!(said.err, "");
    for (more, words) in [
        (vec!["--token-file", token.as_str()], "--ca-file"),
        (vec!["--ca-file", &at("server.pem")], "--token-file"),
        (vec!["--ca-file", &at("nothing.pem"), "--token-file", &token], "nothing.pem"),
    ] {
        let said = call(&more);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.err.contains(words), "{}", said.err);
    }
}
