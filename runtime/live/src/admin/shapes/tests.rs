#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::{Value, json, to_value};
use trimtab_control::Status;
use trimtab_control::config::WorkloadId;
use trimtab_control::decision::{
    Decision, Input, InputKind, OutcomeState, PoolDecision, PoolOutcome, Rule, ShadowRecord, StageRecord, Step,
};
use trimtab_control::policy::{Fault, Level, LogLine, Target, Tier};
use trimtab_control::time::Span;

use super::*;
use crate::manifest::{Place, Spot, Step as Reading};
use crate::modules::Key;

/// 2026-03-01T12:00:00.250Z
const NOON: Time = Time(1_772_366_400_250);

fn id() -> WorkloadId {
    WorkloadId { namespace: "team-a".into(), name: "chat".into() }
}

fn pool() -> PoolStatus {
    PoolStatus {
        name: "default".into(),
        min: 1,
        max: 8,
        desired: 3,
        ready: 2,
        starting: 1,
        draining: 0,
        standby: 0,
        stuck: 0,
        failed: 0,
        silent: vec!["default-1".into()],
        reported_at: Some(NOON),
        startup_p50_ms: 42_500,
        startup_p90_ms: 61_000,
    }
}

pub(in crate::admin) fn view() -> View {
    let stage = |name: &str, policy: &str, digest: &str, state, message: &str| StageStatus {
        name: name.into(),
        policy: policy.into(),
        digest: digest.into(),
        state,
        message: message.into(),
    };
    let key = Key { tenant: None, name: "queue-depth".into() };
    View {
        id: id(),
        status: Status {
            namespace: "team-a".into(),
            name: "chat".into(),
            conditions: vec![
                Condition {
                    kind: ConditionType::Ready,
                    status: false,
                    reason: "Starting".into(),
                    message: "1 of 3 starts".into(),
                },
                Condition {
                    kind: ConditionType::Paused,
                    status: true,
                    reason: "Ordered".into(),
                    message: String::new(),
                },
            ],
            pools: vec![pool()],
            policies: vec![
                stage("queue", "queue-depth", "sha256:aa", StageState::LastGood, "compile: broken"),
                stage("gone", "missing", "", StageState::Failed, "there is no policy missing"),
            ],
            last_decision: Some("1-5".into()),
        },
        stages: vec![
            StageView { key: Some(key), source: Some(Origin::Directory) },
            StageView { key: None, source: None },
        ],
        decisions: Vec::new(),
        sources: vec![
            SourceView {
                source: "vllm",
                place: "http://127.0.0.1:18100/metrics".into(),
                replica: Some(("default".into(), "default-0".into())),
                good_at: Some(Time(NOON.0 - 1500)),
                error: Some(("timeout", "no answer within 1s".into())),
            },
            SourceView { source: "dry-run", place: String::new(), replica: None, good_at: None, error: None },
        ],
        notes: vec!["default: no free port".into()],
        problems: vec![Problem {
            place: Place { file: "chat.yaml".into(), spot: Spot { line: 3, column: 5 } },
            stage: Reading::Manifest,
            message: "unknown field `x`".into(),
            hint: "remove it".into(),
        }],
        ticked: true,
        missed_ticks: 2,
    }
}

#[test]
fn a_workload() {
    let got = to_value(WorkloadShape::new(&view(), NOON)).unwrap();
    let want = json!({
        "namespace": "team-a",
        "name": "chat",
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Starting", "message": "1 of 3 starts"},
            {"type": "Paused", "status": "True", "reason": "Ordered", "message": ""},
        ],
        "pools": [{
            "name": "default", "min": 1, "max": 8, "desired": 3, "ready": 2, "starting": 1, "draining": 0, "standby": 0,
            "stuck": 0, "failed": 0, "silent": ["default-1"], "reportedAt": "2026-03-01T12:00:00.250Z",
            "startupP50Seconds": 42.5, "startupP90Seconds": 61.0,
        }],
        "policies": [
            {"name": "queue", "policy": "queue-depth", "digest": "sha256:aa", "source": "directory", "state": "last-good", "message": "compile: broken"},
            {"name": "gone", "policy": "missing", "digest": null, "source": null, "state": "failed", "message": "there is no policy missing"},
        ],
        "lastDecision": "1-5",
        "missedTicks": 2,
        "sources": [
            {
                "source": "vllm", "place": "http://127.0.0.1:18100/metrics", "pool": "default", "replica": "default-0",
                "goodAt": "2026-03-01T11:59:58.750Z", "ageSeconds": 1.5,
                "error": {"code": "timeout", "message": "no answer within 1s"},
            },
            {"source": "dry-run", "place": "", "pool": null, "replica": null, "goodAt": null, "ageSeconds": null, "error": null},
        ],
        "messages": ["default: no free port"],
        "problems": [{"place": "chat.yaml:3:5", "stage": "manifest", "message": "unknown field `x`", "hint": "remove it"}],
    });
    assert_eq!(got, want);
}

#[test]
fn a_view_without_stages_still_has_its_policies() {
    let mut view = view();
    view.stages.clear();
    view.status.last_decision = None;
    let got = to_value(WorkloadShape::new(&view, NOON)).unwrap();
    assert_eq!(got["policies"][0]["source"], Value::Null);
    assert_eq!(got["lastDecision"], Value::Null);
}

fn decision() -> Decision {
    let input = |value, age, coverage, kind| Input {
        signal: "queue-depth".into(),
        labels: vec![("model".into(), "m".into())],
        value,
        age,
        coverage,
        kind,
    };
    Decision {
        id: "1-5".into(),
        at: NOON,
        generation: 1,
        pools: vec![
            PoolDecision {
                name: "default".into(),
                from: 1,
                to: 4,
                standby_from: 0,
                standby_to: 1,
                outcome: Some(PoolOutcome { state: OutcomeState::Applied, message: String::new() }),
            },
            PoolDecision { name: "spot".into(), from: 0, to: 0, standby_from: 0, standby_to: 0, outcome: None },
        ],
        inputs: vec![
            input(Some(12.0), Some(Span(750)), 1.0, InputKind::Fresh),
            input(Some(f64::NAN), None, f64::INFINITY, InputKind::Missing),
        ],
        stages: vec![
            StageRecord {
                name: "queue".into(),
                policy: "queue-depth".into(),
                digest: "sha256:aa".into(),
                targets: vec![Target { pool: "default".into(), tier: Tier::Serving, replicas: 4 }],
                reason: "12 wait".into(),
                notes: vec![("a".into(), "1".into()), ("b".into(), "2".into()), ("a".into(), "3".into())],
                log: vec![LogLine { level: Level::Warn, message: "hm".into() }],
                error: None,
                shadow: Some(ShadowRecord {
                    policy: "next".into(),
                    digest: "sha256:bb".into(),
                    targets: vec![Target { pool: "default".into(), tier: Tier::Serving, replicas: 3 }],
                    reason: "11 wait".into(),
                    error: None,
                }),
            },
            StageRecord {
                name: "gone".into(),
                policy: "missing".into(),
                digest: String::new(),
                targets: Vec::new(),
                reason: String::new(),
                notes: Vec::new(),
                log: Vec::new(),
                error: Some(Fault { code: "not-loaded".into(), message: "there is no policy missing".into() }),
                shadow: None,
            },
        ],
        guardrails: vec![Step {
            rule: Rule::Rollout,
            pool: "default".into(),
            from: 5,
            to: 4,
            standby_from: 1,
            standby_to: 1,
            why: "at most 4".into(),
        }],
        recheck_at: Some(NOON + Span(1)),
        remove_first: Vec::new(),
    }
}

#[test]
fn a_decision() {
    let got = to_value(DecisionShape::new(&decision())).unwrap();
    let want = json!({
        "id": "1-5",
        "at": "2026-03-01T12:00:00.250Z",
        "generation": 1,
        "pools": [
            {"name": "default", "from": 1, "to": 4, "standbyFrom": 0, "standbyTo": 1, "outcome": {"state": "applied", "message": ""}},
            {"name": "spot", "from": 0, "to": 0, "standbyFrom": 0, "standbyTo": 0, "outcome": null},
        ],
        "inputs": [
            {"signal": "queue-depth", "labels": {"model": "m"}, "value": 12.0, "ageSeconds": 0.75, "coverage": 1.0, "kind": "fresh"},
            {"signal": "queue-depth", "labels": {"model": "m"}, "value": null, "ageSeconds": null, "coverage": null, "kind": "missing"},
        ],
        "stages": [
            {
                "name": "queue", "policy": "queue-depth", "digest": "sha256:aa",
                "targets": [{"pool": "default", "tier": "serving", "replicas": 4}], "reason": "12 wait",
                "notes": {"a": "3", "b": "2"}, "log": [{"level": "warn", "message": "hm"}], "error": null,
                "shadow": {"policy": "next", "digest": "sha256:bb", "targets": [{"pool": "default", "tier": "serving", "replicas": 3}],
                    "reason": "11 wait", "error": null},
            },
            {
                "name": "gone", "policy": "missing", "digest": null, "targets": [], "reason": "", "notes": {}, "log": [],
                "error": {"code": "not-loaded", "message": "there is no policy missing"}, "shadow": null,
            },
        ],
        "guardrails": [
            {"rule": "rollout", "pool": "default", "from": 5, "to": 4, "standbyFrom": 1, "standbyTo": 1, "why": "at most 4"},
        ],
        "recheckAt": "2026-03-01T12:00:00.251Z",
    });
    assert_eq!(got, want);
}

#[test]
fn a_policy_that_serves_nobody() {
    let entry = Entry {
        key: Key { tenant: Some("team-a".into()), name: "queue-depth".into() },
        digest: String::new(),
        source: Origin::Directory,
        state: State::Failed,
        message: "inspect: not WebAssembly".into(),
        problem: None,
        candidates: Vec::new(),
    };
    let got = to_value(PolicyShape::new(&entry, [&view()])).unwrap();
    let want = json!({
        "name": "queue-depth", "tenant": "team-a", "digest": null, "source": null, "state": "failed",
        "message": "inspect: not WebAssembly", "description": null, "usedBy": [],
    });
    assert_eq!(got, want);
    let shared = Entry { key: Key { tenant: None, ..entry.key.clone() }, digest: "sha256:aa".into(), ..entry };
    let got = to_value(PolicyShape::new(&shared, [&view()])).unwrap();
    assert_eq!(
        (&got["tenant"], &got["source"], &got["usedBy"]),
        (&Value::Null, &json!("directory"), &json!(["team-a/chat"]))
    );
}

#[test]
fn endpoints_are_targets_of_prometheus() {
    let id = id();
    let endpoint = |url: &str| Endpoint {
        pool: Arc::from("default"),
        replica: Arc::from("default-0"),
        url: url.into(),
        serving: true,
    };
    let plain = json!({"namespace": "team-a", "workload": "chat", "pool": "default", "replica": "default-0"});
    let mut secure = plain.clone();
    secure["__scheme__"] = json!("https");
    for (url, target, labels) in [
        ("http://127.0.0.1:18100", "127.0.0.1:18100", &plain),
        ("http://replica.local", "replica.local:80", &plain),
        ("http://[::1]:8000", "[::1]:8000", &plain),
        ("https://replica.local/", "replica.local:443", &secure),
    ] {
        let got = to_value(TargetGroup::new(&id, &endpoint(url))).unwrap();
        assert_eq!(got, json!({"targets": [target], "labels": labels}), "{url}");
    }
    assert!(TargetGroup::new(&id, &endpoint("/no/host")).is_none());
}

#[test]
fn instants_have_milliseconds_and_no_end() {
    assert_eq!(Instant(Time(0)).to_string(), "1970-01-01T00:00:00.000Z");
    assert!(Instant(Time(u64::MAX)).to_string().starts_with("9999-12-"));
}
