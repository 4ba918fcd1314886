#![allow(clippy::unwrap_used)] // a test may fail

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::header::HeaderName;
use trimtab_control::sample::{Replica, ReplicaState};
use trimtab_control::time::Time;

use super::*;
use crate::client::tests::wire::{Step, Wire, answer, until};
use crate::client::{AuthSpec, TlsSpec};
use crate::clock::Reading;

/// 2026-03-01T12:00:00Z.
const NOW: u64 = 1_772_366_400_000;

fn clock(at: u64) -> Clock {
    Clock::with(move || Reading { wall: Duration::from_millis(at), passed: Duration::ZERO })
}

fn spec(url: &str) -> WebhookSpec {
    WebhookSpec { url: url.into(), timeout: Span::seconds(30), auth: None, tls: TlsSpec::default() }
}

fn connected(spec: &WebhookSpec, store: &Store, at: u64) -> Arc<dyn Target> {
    let id = WorkloadId { namespace: "team-a".into(), name: "chat".into() };
    connect(&id, "default", spec, &Client::new(), store, &clock(at))
}

fn store(place: &Path) -> Store {
    Store::open(place).unwrap()
}

fn action(decision: &str, serving: u32, standby: u32) -> Action {
    Action {
        decision: decision.into(),
        generation: 7,
        pool: "default".into(),
        serving,
        standby,
        remove_first: Vec::new(),
        reason: "concurrency: 24 sequences over 8\nwants \u{1b}3".into(),
    }
}

fn json(body: &str) -> Vec<Step> {
    answer("200 OK", "application/json", body)
}

fn generation(body: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(body).unwrap()["generation"].as_u64().unwrap()
}

#[tokio::test]
async fn the_put_byte_for_byte() {
    let wire = Wire::start(|_| answer("202 Accepted", "text/plain", "ok")).await;
    let place = tempfile::tempdir().unwrap();
    let token = place.path().join("token");
    std::fs::write(&token, "hunter2\n").unwrap();
    let store = store(&place.path().join("state"));
    let auth = Some(AuthSpec::Header { name: HeaderName::from_static("x-fleet-key"), file: token });
    let target = connected(&WebhookSpec { auth, ..spec(&format!("{}/fleet?pool=a", wire.url)) }, &store, NOW);
    target.apply(&action("d-1", 3, 1)).await.unwrap();
    // The same once more is the same, whoever asks again.
    target.apply(&action("d-1", 3, 1)).await.unwrap();
    target.apply(&action("d-2", 4, 1)).await.unwrap();
    let reason = r#""reason":"concurrency: 24 sequences over 8\\nwants \\u{1b}3"}"#;
    let first = format!(r#"{{"replicas":3,"standby":1,"generation":{NOW},"decision":"d-1",{reason}"#);
    let second = format!(r#"{{"replicas":4,"standby":1,"generation":{},"decision":"d-2",{reason}"#, NOW + 1);
    let seen = wire.seen();
    assert_eq!(seen.iter().map(|s| s.body.clone()).collect::<Vec<_>>(), [first.clone(), first, second]);
    assert!(seen[0].head.starts_with("PUT /fleet?pool=a HTTP/1.1\r\n"), "{}", seen[0].head);
    assert_eq!(seen[0].header("x-fleet-key"), Some("hunter2"));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_number_grows_over_restarts_lost_files_and_failures() {
    let wire = Wire::start(|seen| {
        let status = if seen.body.contains("d-2") { "500 Internal Server Error" } else { "200 OK" };
        answer(status, "text/plain", "")
    })
    .await;
    let place = tempfile::tempdir().unwrap();
    // The third time the clock was set back, the last time the state directory is another.
    let runs = [("a", NOW, "d-1"), ("a", NOW + 5, "d-2"), ("a", 0, "d-3"), ("b", NOW + 1_000_000, "d-1")];
    for (directory, at, decision) in runs {
        let store = store(&place.path().join(directory));
        let done = connected(&spec(&wire.url), &store, at).apply(&action(decision, 2, 0)).await;
        assert_eq!(done.is_ok(), decision != "d-2");
    }
    let numbers: Vec<u64> = wire.seen().iter().map(|seen| generation(&seen.body)).collect();
    assert_eq!(numbers, [NOW, NOW + 5, NOW + 6, NOW + 1_000_000]);
}

#[tokio::test]
async fn the_number_is_in_the_file_before_it_is_sent() {
    let wire = Wire::start(|_| vec![Step::Hang]).await;
    let place = tempfile::tempdir().unwrap();
    let store = store(place.path());
    let target = connected(&spec(&wire.url), &store, NOW);
    let asking = tokio::spawn(async move { target.apply(&action("d-1", 2, 0)).await });
    until("the question", || wire.seen().len() == 1).await;
    let file = rusqlite::Connection::open(place.path().join("state.db")).unwrap();
    let kept: String =
        file.query_row("SELECT value FROM records WHERE key = 'team-a/chat/default'", [], |row| row.get(0)).unwrap();
    assert_eq!(generation(&kept), NOW);
    asking.abort();
}

#[tokio::test]
async fn what_would_be_refused_again_is_told_from_what_may_pass() {
    let place = tempfile::tempdir().unwrap();
    let store = store(place.path());
    for status in [400, 401, 403, 404, 409, 410, 422, 408, 425, 429, 500, 502, 503, 302] {
        let wire = Wire::start(move |_| answer(&format!("{status} Oh"), "text/plain", "\nno room\u{7}\nmore")).await;
        let target = connected(&spec(&wire.url), &store, NOW);
        let error = target.apply(&action("d", 1, 0)).await.unwrap_err();
        let refused = matches!(status, 400..=407 | 409..=422);
        match &error {
            TargetError::Refused(text) => {
                assert!(refused && text.starts_with(&format!("PUT {}: answered {status}", wire.url)), "{text}");
                assert!(text.ends_with(": no room\\u{7}"), "{text}");
            }
            TargetError::Failed(text) => assert!(!refused, "{text}"),
        }
    }
    let wire = Wire::start(|_| vec![Step::Hang]).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, part) in
        [(wire.url.clone(), "no whole answer within 200ms"), (format!("http://{free}"), "cannot connect")]
    {
        let target = connected(&WebhookSpec { timeout: Span(200), ..spec(&url) }, &store, NOW);
        let error = target.apply(&action("d", 1, 0)).await.unwrap_err();
        assert!(matches!(&error, TargetError::Failed(text) if text.contains(part)), "{error}");
    }
    let wire = Wire::start(|_| answer("200 OK", "text/plain", &"x".repeat(MOST_OF_A_RECEIPT + 1))).await;
    connected(&spec(&wire.url), &store, NOW).apply(&action("d", 1, 0)).await.unwrap();
}

#[tokio::test]
async fn a_report_and_its_addresses() {
    let body = r#"{"desired":3,"extra":{"x":[1]},"replicas":[
        {"id":"b","state":"ready","since":"2026-03-01T11:59:00Z","endpoint":"http://10.0.0.2:8000/","zone":"x"},
        {"id":"a","state":"draining","since":"2026-03-01T12:30:00+01:00","endpoint":"http://10.0.0.1:8000/v1"},
        {"id":"c","state":"starting","since":null,"endpoint":"http://10.0.0.3:8000"},
        {"id":"d","state":"ready","since":"2027-01-01T00:00:00.5Z","endpoint":"ftp://x\n"},
        {"id":"e","state":"failed"},{"id":"f","state":"standby"}]}"#;
    let wire = Wire::start(move |_| json(body)).await;
    let place = tempfile::tempdir().unwrap();
    let target = connected(&spec(&wire.url), &store(place.path()), NOW);
    let TargetReport { report, endpoints, notes } = target.report().await.unwrap();
    let replica = |id: &str, state, since| Replica { id: id.into(), state, since: Time(since), restarting: false };
    let want = [
        replica("a", ReplicaState::Draining, NOW - 1_800_000),
        replica("b", ReplicaState::Ready, NOW - 60_000),
        replica("c", ReplicaState::Starting, NOW),
        replica("d", ReplicaState::Ready, NOW),
        replica("e", ReplicaState::Failed, NOW),
        replica("f", ReplicaState::Standby, NOW),
    ];
    assert_eq!(report.replicas, want);
    assert_eq!((report.desired, &*report.pool, report.rolling_out), (3, "default", false));
    let found: Vec<_> = endpoints.iter().map(|e| (&*e.replica, e.url.as_str(), e.serving)).collect();
    assert_eq!(found, [("b", "http://10.0.0.2:8000", true), ("a", "http://10.0.0.1:8000", false)]);
    assert!(
        notes.len() == 1 && notes[0].starts_with("replica d: its endpoint \"ftp://x\\n\" is not used: "),
        "{notes:?}"
    );
    assert_eq!(wire.seen()[0].header("accept"), Some("application/json"));
}

#[tokio::test]
async fn an_answer_of_another_shape_is_no_fleet() {
    let many: Vec<String> = (0..10_001).map(|n| format!(r#"{{"id":"{n}","state":"ready"}}"#)).collect();
    let long = "x".repeat(254);
    let cases = [
        (String::new(), "EOF"),
        ("<html>".into(), "expected value"),
        ("[]".into(), "line 1"),
        (r#"{"replicas":[]}"#.into(), "missing field `desired`"),
        (r#"{"desired":2}"#.into(), "missing field `replicas`"),
        (r#"{"desired":-1,"replicas":[]}"#.into(), "-1"),
        (r#"{"desired":1.5,"replicas":[]}"#.into(), "1.5"),
        (r#"{"desired":null,"replicas":[]}"#.into(), "null"),
        (r#"{"desired":1,"standby":"1","replicas":[]}"#.into(), "string"),
        (r#"{"desired":1,"replicas":[]} x"#.into(), "trailing"),
        (r#"{"desired":1,"replicas":[{"id":"a"}]}"#.into(), "missing field `state`"),
        (r#"{"desired":1,"replicas":[{"id":1,"state":"ready"}]}"#.into(), "integer `1`"),
        (r#"{"desired":1,"replicas":[{"id":"a","state":"Ready"}]}"#.into(), "unknown variant `Ready`"),
        (r#"{"desired":1,"replicas":[{"id":"","state":"ready"}]}"#.into(), "replicas[0].id has 0 bytes"),
        (format!(r#"{{"desired":1,"replicas":[{{"id":"{long}","state":"ready"}}]}}"#), "replicas[0].id has 254 bytes"),
        (r#"{"desired":1,"replicas":[{"id":"a\u001b","state":"ready"}]}"#.into(), "replicas[0].id is \"a\\u{1b}\""),
        (
            r#"{"desired":1,"replicas":[{"id":"a","state":"ready"},{"id":"a","state":"failed"}]}"#.into(),
            "\"a\" a second time",
        ),
        (
            r#"{"desired":1,"replicas":[{"id":"a","state":"ready","since":"yesterday"}]}"#.into(),
            "replicas[0].since is \"yesterday\"",
        ),
        (
            r#"{"desired":1,"replicas":[{"id":"a","state":"ready","since":"2026-03-01T12:00:00"}]}"#.into(),
            "not an instant",
        ),
        (format!(r#"{{"desired":1,"replicas":[{}]}}"#, many.join(",")), "10001 replicas"),
        (format!(r#"{{"desired":1,"replicas":[]}}{}"#, " ".repeat(4 << 20)), "larger than 4194304 bytes"),
    ];
    let place = tempfile::tempdir().unwrap();
    let store = store(place.path());
    for (body, part) in cases {
        let sent = body.clone();
        let wire = Wire::start(move |_| json(&sent)).await;
        let error = connected(&spec(&wire.url), &store, NOW).report().await.unwrap_err();
        let TargetError::Failed(text) = &error else { panic!("{error}") };
        assert!(text.contains(part) && text.starts_with(&format!("GET {}", wire.url)), "{part}: {text}");
        assert!(text.len() < 1024 && !text.contains('\u{1b}'), "{text}");
    }
}

#[tokio::test]
async fn a_replica_without_since_counts_from_when_it_was_first_seen() {
    let bodies = [
        r#"[{"id":"a","state":"starting"}]"#,
        r#"[{"id":"a","state":"starting"}]"#,
        r#"[{"id":"a","state":"ready"}]"#,
        "[]",
        r#"[{"id":"a","state":"ready"}]"#,
    ];
    let count = AtomicUsize::new(0);
    let wire = Wire::start(move |_| {
        let replicas = bodies[count.fetch_add(1, Ordering::SeqCst)];
        json(&format!(r#"{{"desired":1,"replicas":{replicas}}}"#))
    })
    .await;
    let place = tempfile::tempdir().unwrap();
    let passed = Arc::new(Mutex::new(0));
    let reading = passed.clone();
    let clock = Clock::with(move || {
        let passed = Duration::from_millis(*reading.lock().unwrap());
        Reading { wall: Duration::from_millis(NOW) + passed, passed }
    });
    let id = WorkloadId { namespace: "team-a".into(), name: "chat".into() };
    let target = connect(&id, "default", &spec(&wire.url), &Client::new(), &store(place.path()), &clock);
    let mut since = Vec::new();
    for minute in 0..5 {
        *passed.lock().unwrap() = minute * 60_000;
        let report = target.report().await.unwrap().report;
        // The instant of an answer is that of its head, a moment ago by the clock of the machine.
        since.extend(report.replicas.iter().map(|r| (r.since.0 + 30_000 - NOW) / 60_000));
    }
    assert_eq!(since, [0, 0, 2, 4]);
}

#[tokio::test]
async fn the_standby_tier_is_there_unless_the_server_says_otherwise() {
    let place = tempfile::tempdir().unwrap();
    let store = store(place.path());
    let said = Arc::new(Mutex::new(""));
    let says = said.clone();
    let wire = Wire::start(move |seen| {
        if seen.body.contains("d-2") {
            return answer("409 Conflict", "text/plain", "");
        }
        json(&format!(r#"{{"desired":1,{}"replicas":[]}}"#, says.lock().unwrap()))
    })
    .await;
    let target = connected(&spec(&wire.url), &store, NOW);
    let tier = || async {
        let report = target.report().await.unwrap().report;
        (report.can_standby, report.standby)
    };
    assert_eq!(tier().await, (true, 0));
    target.apply(&action("d-1", 1, 2)).await.unwrap();
    assert_eq!(tier().await, (true, 2), "what it accepted");
    target.apply(&action("d-2", 1, 5)).await.unwrap_err();
    assert_eq!(tier().await, (true, 2), "what it refused does not stand");
    *said.lock().unwrap() = r#""standby":3,"#;
    assert_eq!(tier().await, (true, 3));
    *said.lock().unwrap() = r#""standby":null,"#;
    assert_eq!(tier().await, (false, 0));
}

/// A server that is silent until the gate is opened, for all but the first GET where that is asked.
async fn gated(first_is_free: bool) -> (Wire, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let (open, count) = (gate.clone(), AtomicUsize::new(0));
    let wire = Wire::start(move |seen| {
        if seen.head.starts_with("PUT") {
            return answer("200 OK", "text/plain", "");
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        let body = format!(
            r#"{{"desired":{number},"replicas":[{{"id":"a","state":"ready","endpoint":"http://10.0.0.1:{}"}}]}}"#,
            8000 + number
        );
        let wait = if first_is_free && number == 0 { vec![] } else { vec![Step::Until(open.clone())] };
        [wait, json(&body)].concat()
    })
    .await;
    (wire, gate)
}

#[tokio::test]
async fn many_who_ask_share_one_question_and_a_silent_server_keeps_nobody() {
    let (wire, gate) = gated(true).await;
    let place = tempfile::tempdir().unwrap();
    let target = connected(&spec(&wire.url), &store(place.path()), NOW);
    let ask = || async { target.endpoints().await.into_iter().map(|e| e.url).collect::<Vec<_>>() };
    for _ in 0..20 {
        assert_eq!(ask().await, ["http://10.0.0.1:8000"]);
    }
    assert_eq!(wire.seen().len(), 1, "an answer serves for a second");
    tokio::time::sleep(FRESH).await;
    let begun = Instant::now();
    let answers = futures_util::future::join_all((0..20).map(|_| ask())).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "the server is silent for as long as it may be: 30 s");
    assert!(answers.iter().all(|urls| urls == &["http://10.0.0.1:8000"]), "what is known: {answers:?}");
    let reports = async { tokio::join!(target.report(), target.report()) };
    let opening = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.store(true, Ordering::SeqCst);
    };
    let ((one, other), ()) = tokio::join!(reports, opening);
    assert_eq!((one.unwrap().report.desired, other.unwrap().report.desired), (1, 1));
    assert_eq!(wire.seen().len(), 2, "one GET in flight, whoever asks");
    assert_eq!(ask().await, ["http://10.0.0.1:8001"]);
}

#[tokio::test]
async fn a_report_is_never_older_than_the_last_put() {
    let (wire, gate) = gated(false).await;
    let place = tempfile::tempdir().unwrap();
    let target = connected(&spec(&wire.url), &store(place.path()), NOW);
    assert!(target.endpoints().await.is_empty(), "nothing is known yet, and a GET is in flight");
    target.apply(&action("d-1", 3, 0)).await.unwrap();
    gate.store(true, Ordering::SeqCst);
    assert_eq!(target.report().await.unwrap().report.desired, 1, "of the second GET");
    let methods: Vec<_> = wire.seen().iter().map(|seen| seen.head[..3].to_owned()).collect();
    assert_eq!(methods, ["GET", "PUT", "GET"]);
}

#[tokio::test]
async fn a_report_that_waits_since_before_a_put_is_not_older_than_that_put() {
    let (wire, gate) = gated(false).await;
    let place = tempfile::tempdir().unwrap();
    let target = connected(&spec(&wire.url), &store(place.path()), NOW);
    let asking = async {
        let report = target.report().await.unwrap().report;
        (report.desired, wire.seen().len())
    };
    let putting = async {
        until("the question", || wire.seen().len() == 1).await;
        target.apply(&action("d-1", 3, 0)).await.unwrap();
        gate.store(true, Ordering::SeqCst);
    };
    let (answered, ()) = tokio::join!(asking, putting);
    assert_eq!(answered, (1, 3), "the second GET, after the PUT");
}
