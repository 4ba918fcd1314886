//! The load client against real engines, and against sockets that misbehave.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::server::{EngineOptions, serve};
use trimtab_sim::Startup;

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("bound");
    (listener, address.to_string())
}

/// An address that refuses connections for as long as the socket is held: bound, so that nobody else gets it, but not
/// listening.
fn nobody() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("bound").to_string();
    (socket, address)
}

/// An engine so fast that simulated time is no matter.
async fn engine() -> String {
    let (listener, address) = listen().await;
    let options = EngineOptions { startup: Startup::Fixed(Duration::ZERO), speed: 100.0, ..EngineOptions::default() };
    tokio::spawn(serve(listener, options, CancellationToken::new()));
    address
}

/// A server that answers every connection with these bytes and closes.
async fn says(answer: &'static str) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// A daemon's endpoints page that can be changed.
async fn discovery(addresses: Arc<Mutex<Vec<String>>>) -> String {
    let (listener, address) = listen().await;
    let page = move || {
        let targets = addresses.lock().expect("no panic").clone();
        async move { serde_json::json!([{"targets": targets, "labels": {"__meta_x": "y"}}]).to_string() }
    };
    let router = Router::new().route("/v1/endpoints/a/b", get(page));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/v1/endpoints/a/b")
}

/// A hundred short requests a second for half a second.
fn short(endpoints: Endpoints) -> LoadOptions {
    LoadOptions {
        shape: Shape::Steady { rate: 100.0 },
        duration: Duration::from_millis(500),
        refresh: Duration::from_millis(300),
        input_tokens: 8,
        output_tokens: 4,
        ..LoadOptions::new(endpoints)
    }
}

async fn report(options: LoadOptions) -> LoadReport {
    bounded(run(options, |_| {}, CancellationToken::new())).await.expect("options that can be used")
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work).await.expect("within 60 s")
}

fn planned(options: &LoadOptions) -> Vec<Arrival> {
    Arrivals::new(options).expect("rates that can be used").collect()
}

#[tokio::test]
async fn every_request_is_accounted_for() {
    let options = short(Endpoints::Fixed(vec![engine().await, engine().await]));
    let expected = planned(&options).len() as u64;
    let report = report(options).await;
    assert_eq!((report.offered, report.completed, report.failed, report.shed), (expected, expected, 0, 0), "{report}");
    assert_eq!(report.output_tokens, expected * 4);
    assert_eq!((report.peak_endpoints, report.retries), (2, 0));
    let json = serde_json::to_value(&report).expect("serialisable");
    assert!(json["ttftSeconds"]["p50"].is_f64() && json["tpotSeconds"]["p99"].is_f64(), "{json}");
    assert!(report.to_string().contains("end-to-end"));
}

#[tokio::test]
async fn a_refused_connection_is_tried_elsewhere() {
    let (_held, address) = nobody();
    let report = report(short(Endpoints::Fixed(vec![address, engine().await]))).await;
    assert_eq!((report.failed, report.completed), (0, report.offered), "{report}");
    assert!(report.retries > 0, "{report}");
}

#[tokio::test]
async fn without_retries_a_refusal_is_a_failure_with_its_reason() {
    let (_held, address) = nobody();
    let options = LoadOptions { retry: false, ..short(Endpoints::Fixed(vec![address])) };
    let report = report(options).await;
    assert_eq!((report.failed, report.completed, report.retries), (report.offered, 0, 0));
    let failure = &report.failures[&FailureKind::Connect];
    assert!(failure.last.contains("refused"), "{}", failure.last);
    assert_eq!(report.ttft_seconds, Quantiles::default());
}

#[tokio::test]
async fn requests_wait_for_the_first_endpoint_and_follow_the_list() {
    let addresses = Arc::new(Mutex::new(Vec::new()));
    let url = discovery(Arc::clone(&addresses)).await;
    let address = engine().await;
    let mut most_queued = 0;
    let progress = |snapshot: &Snapshot| {
        most_queued = most_queued.max(snapshot.gateway_queue);
        if snapshot.gateway_queue >= 5 {
            *addresses.lock().expect("no panic") = vec![address.clone()];
        }
    };
    let options = short(Endpoints::Discovery(url));
    let report = bounded(run(options, progress, CancellationToken::new())).await.expect("usable");
    assert!(most_queued >= 5 && report.gateway_queued >= 5, "{report}");
    assert_eq!((report.failed, report.completed), (0, report.offered), "{report}");
}

#[tokio::test]
async fn an_endpoint_that_never_comes_is_a_failure() {
    let url = discovery(Arc::default()).await;
    let options = LoadOptions { queue_timeout: Duration::from_millis(300), ..short(Endpoints::Discovery(url)) };
    let report = report(options).await;
    assert_eq!(report.failures[&FailureKind::NoEndpoint].count, report.offered, "{report}");
    assert!(report.refresh_failures == 0 && report.gateway_queued == report.offered);
}

#[tokio::test]
async fn a_failed_refresh_is_counted_and_keeps_trying() {
    for page in ["HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"] {
        let url = format!("http://{}/", says(page).await);
        let options = LoadOptions { queue_timeout: Duration::from_millis(300), ..short(Endpoints::Discovery(url)) };
        let report = report(options).await;
        assert!(report.refresh_failures > 0, "{report}");
        assert_eq!(report.failed, report.offered);
    }
}

#[tokio::test]
async fn answers_that_are_no_answers_are_named() {
    const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let cut = says("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\ndata: {\"choices\":[{\"text\":\"a\"}]}\n\n").await;
    let short_stream =
        says(concat!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "data: {\"choices\":[{\"text\":\"a\"}]}\n\n"))
            .await;
    let error =
        says(concat!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "data: {\"error\":{\"code\":503}}\n\n")).await;
    for (address, kind, said) in [
        (says("HTTP/1.1 503 No\r\nContent-Length: 7\r\n\r\nloading").await, FailureKind::Status, "503: loading"),
        (says("").await, FailureKind::Broken, "connection"),
        (says(STREAM).await, FailureKind::Broken, "ended before it was complete"),
        (cut, FailureKind::Broken, "the stream broke"),
        (short_stream, FailureKind::Broken, "ended before it was complete"),
        (error, FailureKind::Broken, "the server says"),
    ] {
        let report = report(short(Endpoints::Fixed(vec![address]))).await;
        assert_eq!(report.failures.keys().collect::<Vec<_>>(), [&kind], "{report}");
        assert!(report.failures[&kind].last.contains(said), "{}", report.failures[&kind].last);
        assert_eq!((report.failures[&kind].count, report.retries), (report.offered, 0), "never sent again");
    }
}

#[tokio::test]
async fn silence_ends_in_a_timeout_and_beyond_the_bound_requests_are_shed() {
    let (_listener, address) = listen().await;
    let options = LoadOptions {
        request_timeout: Duration::from_millis(700),
        max_in_flight: 5,
        ..short(Endpoints::Fixed(vec![address]))
    };
    let report = report(options).await;
    assert_eq!(report.failures[&FailureKind::Timeout].count, report.failed, "{report}");
    assert!(report.failed >= 5 && report.shed > 0 && report.peak_in_flight == 5, "{report}");
    assert_eq!(report.offered, report.failed + report.shed);
}

#[tokio::test]
async fn a_stop_ends_at_once_and_counts_what_was_in_flight() {
    let (_listener, address) = listen().await;
    let stop = CancellationToken::new();
    let options = LoadOptions { duration: Duration::from_hours(1), ..short(Endpoints::Fixed(vec![address])) };
    let progress = |snapshot: &Snapshot| {
        if snapshot.in_flight > 3 {
            stop.cancel();
        }
    };
    let report = bounded(run(options, progress, stop.clone())).await.expect("usable");
    assert_eq!(report.failures[&FailureKind::Cancelled].count, report.offered, "{report}");
}

#[tokio::test]
async fn options_that_cannot_be_used_are_refused() {
    let fixed = || short(Endpoints::Fixed(Vec::new()));
    for (options, message) in [
        (short(Endpoints::Discovery("https://x/".to_owned())), "for a daemon behind TLS forward its port and use that"),
        (LoadOptions { shape: Shape::Steady { rate: 0.0 }, ..fixed() }, "not 0"),
        (LoadOptions { shape: Shape::Burst { base: 1.0, peak: f64::NAN }, ..fixed() }, "not NaN"),
        (LoadOptions { max_in_flight: 0, ..fixed() }, "at least 1"),
        (LoadOptions { spread: -1.0, ..fixed() }, "not -1"),
    ] {
        let error = run(options, |_| {}, CancellationToken::new()).await.expect_err("refused").to_string();
        assert!(error.ends_with(message), "{error}");
    }
}

#[test]
fn arrivals_are_fixed_by_the_seed_and_follow_the_shape() {
    let options = |shape, seed| LoadOptions {
        shape,
        seed,
        duration: Duration::from_mins(10),
        spread: 0.5,
        ..LoadOptions::new(Endpoints::Fixed(Vec::new()))
    };
    let steady = options(Shape::Steady { rate: 20.0 }, 1);
    assert_eq!(planned(&steady), planned(&steady));
    assert_ne!(planned(&steady), planned(&options(Shape::Steady { rate: 20.0 }, 2)));
    let between = |rows: &[Arrival], from, to| {
        rows.iter().filter(|row| (from..to).contains(&row.at.as_secs())).count() as f64 / (to - from) as f64
    };
    let burst = planned(&options(Shape::Burst { base: 5.0, peak: 50.0 }, 1));
    for (from, to, rate) in [(0, 100, 5.0), (100, 300, 50.0), (300, 600, 5.0)] {
        let seen = between(&burst, from, to);
        assert!((seen / rate - 1.0_f64).abs() < 0.2, "{from}-{to} s: {seen}");
    }
    let day = planned(&options(Shape::Diurnal { low: 2.0, high: 40.0 }, 1));
    assert!(between(&day, 0, 60) < 6.0 && between(&day, 270, 330) > 33.0 && between(&day, 540, 600) < 6.0);
    assert!(day.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let mean =
        planned(&steady).iter().map(|row| f64::from(row.input_tokens)).sum::<f64>() / planned(&steady).len() as f64;
    // Mean of a log-normal: median * exp(sigma^2 / 2).
    assert!((mean / 580.0 - 1.0).abs() < 0.05, "{mean}");
}

#[test]
fn traces_are_read_by_their_header_and_refused_by_line() {
    let text = "\u{feff}tenant, output_tokens,arrival_s,input_tokens\nx,7,2.5,30\n\ny,1,0,0\r\n";
    let at = |s| Duration::from_secs_f64(s);
    let rows = read_trace(text).expect("a trace");
    assert_eq!(
        rows,
        [
            Arrival { at: at(0.0), input_tokens: 1, output_tokens: 1 },
            Arrival { at: at(2.5), input_tokens: 30, output_tokens: 7 }
        ]
    );
    let shape = Shape::Trace(rows.clone());
    let short = LoadOptions { shape, duration: at(2.0), ..LoadOptions::new(Endpoints::Fixed(Vec::new())) };
    assert_eq!(planned(&short), rows[..1]);
    let header = "arrival_s,input_tokens,output_tokens\n";
    for (text, message) in [
        (
            "a,b\n1,2\n".to_owned(),
            "line 1: no column \"arrival_s\"; the header must name arrival_s, input_tokens and output_tokens",
        ),
        (format!("{header}0,1,1\n-1,1,1\n"), "line 3: arrival_s must be seconds since the start, not \"-1\""),
        (format!("{header}NaN,1,1\n"), "line 2: arrival_s must be seconds since the start, not \"NaN\""),
        (format!("{header}0,1.5,1\n"), "line 2: input_tokens must be a whole number of tokens, not \"1.5\""),
        (format!("{header}0,1\n"), "line 2: output_tokens must be a whole number of tokens, not \"\""),
        (header.to_owned(), "the trace has no rows"),
        (
            String::new(),
            "line 1: no column \"arrival_s\"; the header must name arrival_s, input_tokens and output_tokens",
        ),
    ] {
        assert_eq!(read_trace(&text).expect_err("refused").to_string(), message);
    }
}

#[test]
fn event_streams_are_read_however_they_are_cut() {
    let stream = b": ping\ndata: {\"choices\":[{\"text\":\"a b\"}]}\n\ndata:{\"choices\":[{\"text\":\"\"}]}\r\n\r\n\
        data: {\"choices\":[],\"usage\":{\"completion_tokens\":9}}\n\ndata: [DONE]\n\n";
    for size in 1..stream.len() {
        let mut events = request::Events::default();
        for piece in stream.chunks(size) {
            events.take(piece).expect("a good stream");
        }
        assert_eq!((events.counted, events.usage, events.done), (1, Some(9), true), "pieces of {size}");
    }
    request::Events::default().take(&vec![b'x'; (1 << 20) + 1]).expect_err("bounded");
    request::Events::default().take(b"data: {\n").expect_err("not JSON");
}
