#![allow(clippy::unwrap_used)] // a test may fail

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use trimtab_control::sample::{Origin, Reading};

use super::*;
use crate::client::tests::wire::{Seen, Step, Wire, answer, until};
use crate::client::{Client, TlsSpec, parse_url};
use crate::presets;
use crate::source::{EngineSpec, ExpositionSpec, SignalSpec, SourceSpec, connect, fixed};
use crate::target::BoxFuture;

/// Long enough for a machine that is busy with other tests; a round that has all its answers does not wait.
const PATIENT: Duration = Duration::from_secs(20);

/// Longer than any test waits.
const NO_LIMIT: Duration = Duration::from_mins(10);

fn engine() -> SourceSpec {
    SourceSpec::Engine(EngineSpec {
        preset: presets::find("vllm").unwrap(),
        path: "/metrics".into(),
        port: None,
        scheme: None,
        labels: Vec::new(),
        auth: None,
        tls: TlsSpec::default(),
    })
}

fn page(url: &str) -> SourceSpec {
    SourceSpec::Exposition(ExpositionSpec {
        url: parse_url(url).unwrap(),
        signals: vec![SignalSpec {
            name: "gateway-queue".into(),
            metric: "my_queue".into(),
            labels: Vec::new(),
            within: None,
            across: None,
        }],
        auth: None,
        tls: TlsSpec::default(),
    })
}

fn metrics(running: u32, waiting: u32) -> Vec<Step> {
    let text = format!(
        "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running {running}\n\
         # TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting {waiting}\n"
    );
    answer("200 OK", "text/plain; version=0.0.4", &text)
}

fn scraper(specs: &[SourceSpec], timeout: Duration) -> Scraper {
    let (client, clock) = (Client::new(), Clock::system());
    let sources = specs.iter().map(|spec| connect(spec, &client, &clock)).collect();
    Scraper::new(sources, clock, Box::new(|_, _, _| {}), timeout)
}

fn endpoint(replica: &str, url: &str) -> Endpoint {
    Endpoint { pool: "default".into(), replica: replica.into(), url: url.into(), serving: true }
}

/// Which replicas samples are of, each once.
fn replicas(samples: &[Sample]) -> Vec<String> {
    let mut names: Vec<String> = samples
        .iter()
        .map(|sample| match &sample.origin {
            Origin::Replica { replica, .. } => replica.to_string(),
            Origin::Query => "query".to_owned(),
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A server that is silent until the gate is opened.
async fn gated(say: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> (Wire, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let open = gate.clone();
    let wire = Wire::start(move |seen| {
        let open = open.clone();
        [vec![Step::Until(open)], say(seen)].concat()
    })
    .await;
    (wire, gate)
}

#[tokio::test]
async fn half_of_the_replicas_hang_and_the_others_are_read() {
    let hung = Wire::start(|_| vec![Step::Hang]).await;
    let well = Wire::start(|_| metrics(2, 1)).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let of = |name: &str| if "ace".contains(name) { &hung.url } else { &well.url };
    let mut endpoints: Vec<Endpoint> = names.iter().map(|name| endpoint(name, of(name))).collect();
    endpoints[5].serving = false;
    let scraper = scraper(&[engine()], NO_LIMIT);
    for _ in 0..3 {
        // The good ones have all of it, the round ends with it.
        scraper.round(&endpoints, Duration::from_secs(1)).await;
        assert_eq!(replicas(&scraper.drain()), ["b", "d", "f"], "a draining replica is read as well");
    }
    assert_eq!(hung.seen().len(), 3, "one reading in flight for each address, over all rounds");
    assert_eq!(well.seen().len(), 9);
    let loads: Vec<f64> = scraper.work().iter().map(|(_, _, load, _)| *load).collect();
    assert_eq!(loads, [3.0; 3]);
    let report = scraper.report();
    let good: Vec<bool> = report.iter().map(|view| view.good_at.is_some() && view.error.is_none()).collect();
    assert_eq!(good, [false, true, false, true, false, true]);
    assert_eq!(report[1].place, format!("{}/metrics", well.url));
    drop(scraper);
    until("what hangs is ended with the scraper", || hung.left() == 3).await;
}

#[tokio::test]
async fn a_late_answer_serves_a_later_drain() {
    let (late, gate) = gated(|_| metrics(1, 0)).await;
    let well = Wire::start(|_| metrics(1, 0)).await;
    let endpoints = [endpoint("late", &late.url), endpoint("well", &well.url)];
    let scraper = scraper(&[engine()], NO_LIMIT);
    scraper.round(&endpoints, Duration::from_secs(1)).await;
    assert_eq!(replicas(&scraper.drain()), ["well"]);
    gate.store(true, Ordering::SeqCst);
    let mut samples = Vec::new();
    until("the late answer", || {
        samples = scraper.drain();
        !samples.is_empty()
    })
    .await;
    assert_eq!(replicas(&samples), ["late"]);
    assert!(scraper.report()[0].error.is_none());
}

#[tokio::test]
async fn only_the_newest_reading_is_held() {
    let count = AtomicUsize::new(0);
    let wire = Wire::start(move |_| metrics(count.fetch_add(1, Ordering::SeqCst) as u32, 0)).await;
    let endpoints = [endpoint("a", &wire.url)];
    let scraper = scraper(&[engine()], NO_LIMIT);
    for _ in 0..5 {
        scraper.round(&endpoints, PATIENT).await;
    }
    let samples = scraper.drain();
    let running: Vec<&Sample> = samples.iter().filter(|sample| &*sample.signal == "active-sequences").collect();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].reading, Reading::Gauge(4.0));
    assert!(scraper.drain().is_empty());
    assert_eq!(scraper.work()[0].2, 4.0, "known after it was drained");
}

#[tokio::test]
async fn an_address_that_goes_away_takes_its_late_answer_with_it() {
    let (late, gate) = gated(|_| metrics(1, 0)).await;
    let scraper = scraper(&[engine()], NO_LIMIT);
    scraper.round(&[endpoint("a", &late.url)], Duration::from_millis(300)).await;
    assert_eq!(late.seen().len(), 1);
    // Another replica at the same address: the reading of the first is not its own.
    scraper.round(&[endpoint("b", &late.url)], Duration::from_millis(300)).await;
    let names: Vec<_> = scraper.report().into_iter().filter_map(|view| view.replica).collect();
    assert_eq!(names, [("default".into(), "b".into())]);
    gate.store(true, Ordering::SeqCst);
    let mut samples = Vec::new();
    until("the answer of the second", || {
        samples.extend(scraper.drain());
        !samples.is_empty()
    })
    .await;
    assert_eq!(replicas(&samples), ["b"]);
    scraper.round(&[], PATIENT).await;
    assert!(scraper.report().is_empty() && scraper.work().is_empty() && scraper.drain().is_empty());
}

#[tokio::test]
async fn a_reading_that_fails_is_told_and_tried_again() {
    let count = AtomicUsize::new(0);
    let wire = Wire::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => vec![Step::Hang],
        1 => answer("500 Internal Server Error", "text/plain", "out of memory"),
        2 => answer("200 OK", "text/html; charset=utf-8", "<!doctype html><html><body>Welcome</body></html>"),
        _ => metrics(1, 0),
    })
    .await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let ears = told.clone();
    let (client, clock) = (Client::new(), Clock::system());
    let sources = vec![connect(&engine(), &client, &clock)];
    let on_reading = move |name, took, code| ears.lock().unwrap().push((name, took < PATIENT, code));
    let scraper = Scraper::new(sources, clock, Box::new(on_reading), Duration::from_millis(300));
    let endpoints = [endpoint("a", &wire.url)];
    for (code, part) in [("timeout", "within 300ms"), ("status", "out of memory"), ("not-metrics", "html")] {
        scraper.round(&endpoints, PATIENT).await;
        let view = scraper.report().remove(0);
        let (found, message) = view.error.unwrap();
        assert!(found == code && message.contains(part), "{found}: {message}");
        assert_eq!((view.source, view.good_at, view.place), ("vllm", None, format!("{}/metrics", wire.url)));
        assert!(scraper.drain().is_empty());
    }
    scraper.round(&endpoints, PATIENT).await;
    assert_eq!(replicas(&scraper.drain()), ["a"]);
    let codes = [Some("timeout"), Some("status"), Some("not-metrics"), None];
    assert_eq!(*told.lock().unwrap(), codes.map(|code| ("vllm", true, code)));
}

#[tokio::test]
async fn a_page_and_fixed_signals_speak_for_the_workload() {
    let wire = Wire::start(|_| answer("200 OK", "text/plain", "# TYPE my_queue gauge\nmy_queue 7\n")).await;
    let (client, clock) = (Client::new(), Clock::system());
    let fixed = fixed(&BTreeMap::from([("queue-depth".to_owned(), 12.0)]), &clock);
    let sources = vec![connect(&page(&format!("{}/x?key=secret", wire.url)), &client, &clock), fixed];
    let scraper = Scraper::new(sources, clock.clone(), Box::new(|_, _, _| {}), NO_LIMIT);
    let before = clock.now();
    scraper.round(&[], PATIENT).await;
    let samples = scraper.drain();
    let read: Vec<_> = samples.iter().map(|s| (&*s.signal, &s.origin, &s.reading)).collect();
    let want = [("gateway-queue", 7.0), ("queue-depth", 12.0)];
    assert_eq!(read.len(), 2);
    for ((signal, origin, reading), (name, value)) in read.into_iter().zip(want) {
        assert_eq!((signal, origin, reading), (name, &Origin::Query, &Reading::Gauge(value)));
    }
    assert!(samples.iter().all(|sample| sample.at >= before && sample.at <= clock.now()));
    let report = scraper.report();
    let places: Vec<_> = report.iter().map(|view| (view.source, view.place.as_str())).collect();
    assert_eq!(places, [("exposition", format!("{}/x", wire.url).as_str()), ("dry-run", "")]);
    assert!(wire.seen()[0].head.starts_with("GET /x?key=secret HTTP/1.1"));
}

#[tokio::test]
async fn more_hung_addresses_than_places_do_not_starve_the_others() {
    let hung = Wire::start(|_| vec![Step::Hang]).await;
    let well = Wire::start(|_| metrics(0, 0)).await;
    let mut endpoints: Vec<Endpoint> = (0..MOST_AT_ONCE).map(|n| endpoint(&format!("a{n}"), &hung.url)).collect();
    endpoints.push(endpoint("well", &well.url));
    let ended = Arc::new(Mutex::new(Vec::new()));
    let ears = ended.clone();
    let (client, clock) = (Client::new(), Clock::system());
    let sources = vec![connect(&engine(), &client, &clock)];
    let on_reading = move |_, _, code| ears.lock().unwrap().push(code);
    let scraper = Scraper::new(sources, clock, Box::new(on_reading), Duration::from_secs(2));
    // The first time it waits behind them; from then on it goes first.
    scraper.round(&endpoints, PATIENT).await;
    assert_eq!(replicas(&scraper.drain()), ["well"]);
    scraper.round(&endpoints, Duration::from_millis(1)).await;
    until("the answer", || !scraper.drain().is_empty()).await;
    let ended = ended.lock().unwrap();
    // In the first round it came when the first of them gave up its place; in the second before any of them did.
    let (first, second) = ended.split_at(MOST_AT_ONCE + 1);
    assert_eq!(first.iter().filter(|code| **code == Some("timeout")).count(), MOST_AT_ONCE);
    assert_eq!(second.first(), Some(&None), "before any silence has ended");
}

#[tokio::test]
async fn a_load_that_cannot_be_is_no_load() {
    let wire = Wire::start(|_| {
        let page = "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 0\n\
                    # TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting NaN\n";
        answer("200 OK", "text/plain", page)
    })
    .await;
    let scraper = scraper(&[engine()], NO_LIMIT);
    scraper.round(&[endpoint("a", &wire.url)], PATIENT).await;
    assert!(!scraper.drain().is_empty());
    assert_eq!(scraper.work(), [], "else a draining replica would count as done");
}

/// What cannot be provoked over a wire: a reading that panics.
struct Broken(AtomicUsize);

impl Source for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn per_replica(&self) -> bool {
        false
    }

    fn place(&self, _: Option<&Endpoint>) -> String {
        "somewhere".into()
    }

    fn read<'a>(&'a self, _: Option<&'a Endpoint>) -> BoxFuture<'a, Result<Vec<Sample>, ReadError>> {
        Box::pin(async {
            if self.0.fetch_add(1, Ordering::SeqCst) == 0 { panic!("on purpose") } else { Ok(Vec::new()) }
        })
    }
}

#[tokio::test]
async fn a_reading_that_panics_is_not_in_flight_for_ever() {
    let scraper =
        Scraper::new(vec![Arc::new(Broken(AtomicUsize::new(0)))], Clock::system(), Box::new(|_, _, _| {}), NO_LIMIT);
    scraper.round(&[], PATIENT).await;
    for _ in 0..1000 {
        scraper.round(&[], PATIENT).await;
        if scraper.report()[0].good_at.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no reading after the one that panicked");
}

#[test]
fn pages_of_replicas_are_where_the_manifest_says() {
    let (client, clock) = (Client::new(), Clock::system());
    let place = |url: &str, change: &dyn Fn(&mut EngineSpec)| {
        let SourceSpec::Engine(mut spec) = engine() else { unreachable!() };
        change(&mut spec);
        connect(&SourceSpec::Engine(spec), &client, &clock).place(Some(&endpoint("a", url)))
    };
    assert_eq!(place("http://10.0.0.1:8000", &|_| {}), "http://10.0.0.1:8000/metrics");
    assert_eq!(place("http://10.0.0.1", &|spec| spec.port = Some(9)), "http://10.0.0.1:9/metrics");
    assert_eq!(place("http://[::1]:8000/v1", &|spec| spec.port = Some(9)), "http://[::1]:9/metrics");
    assert_eq!(
        place("http://gpu:8000", &|spec| {
            spec.scheme = Some(crate::source::Scheme::Https);
            spec.path = "/m/x?key=1".into();
        }),
        "https://gpu:8000/m/x"
    );
    assert_eq!(place("no\nurl", &|_| {}), "no\\nurl");
}
