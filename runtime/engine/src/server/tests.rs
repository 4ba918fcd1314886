//! The server on a real socket. No test depends on how fast this machine is: what must be there is waited for.

use std::future::Future;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

/// Instant start, and so fast that simulated time is no matter.
fn quick() -> EngineOptions {
    EngineOptions { startup: Startup::Fixed(Duration::ZERO), speed: 50.0, ..EngineOptions::default() }
}

async fn start(options: EngineOptions) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, options, shutdown.clone()));
    Server { address, shutdown, task }
}

impl Server {
    async fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("accepts");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).await.expect("sent");
        stream
    }

    /// Status and body (chunks taken apart where the body has them).
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut answer = String::new();
        let mut stream = self.send(method, path, body).await;
        bounded(stream.read_to_string(&mut answer)).await.expect("an answer");
        let status = answer[9..12].parse().expect("a status");
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        (status, if chunked { unchunk(body) } else { body.to_owned() })
    }

    async fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.ask(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn metric(&self, name: &str) -> f64 {
        let (status, page) = self.ask("GET", "/metrics", "").await;
        assert_eq!(status, 200);
        let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {page}"));
        line.rsplit(' ').next().expect("a value").parse().expect("a number")
    }

    async fn wait_for_metric(&self, name: &str, wanted: f64) {
        bounded(async {
            while self.metric(name).await != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("within 30 s")
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap_or("");
    }
    whole
}

#[tokio::test]
async fn completes_with_and_without_a_stream() {
    let server = start(quick()).await;
    let (status, whole) = server.json("POST", "/v1/completions", r#"{"prompt":"Hello there","max_tokens":5}"#).await;
    assert_eq!(status, 200, "{whole}");
    assert_eq!(whole["usage"], json!({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}));
    assert_eq!(whole["choices"][0]["text"], " a small rudder turns the");
    assert_eq!(whole["choices"][0]["finish_reason"], "length");

    let body = r#"{"messages":[{"role":"user","content":"Hi"}],"max_tokens":40,"stream":true,"stream_options":{"include_usage":true}}"#;
    let (status, stream) = server.ask("POST", "/v1/chat/completions", body).await;
    assert_eq!(status, 200);
    let events: Vec<&str> = stream.split("\n\n").filter(|e| !e.is_empty()).collect();
    assert_eq!(events.last(), Some(&"data: [DONE]"));
    let parsed: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").expect("an event")).expect("JSON"))
        .collect();
    let text: String = parsed.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text.split_whitespace().count(), 40);
    assert_eq!(parsed.last().expect("usage")["usage"]["completion_tokens"], 40);

    assert_eq!(server.metric("vllm:generation_tokens_total").await, 45.0);
    assert_eq!(server.metric("vllm:prompt_tokens_total").await, 4.0);
    assert_eq!(server.metric("vllm:request_success_total{engine=\"0\",finished_reason=\"length\"").await, 2.0);
    assert_eq!(server.metric("vllm:time_to_first_token_seconds_count").await, 2.0);
    assert_eq!(server.metric("vllm:inter_token_latency_seconds_count").await, 43.0);
    assert_eq!(server.metric("vllm:e2e_request_latency_seconds_bucket{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\",le=\"+Inf\"}").await, 2.0);
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let server = start(quick()).await;
    for (path, body, status, message) in [
        ("/v1/completions", "{", 400, "the body is not valid"),
        ("/v1/completions", "{}", 400, "`prompt` is missing"),
        ("/v1/completions", r#"{"prompt":true}"#, 400, "`prompt` must be text"),
        ("/v1/completions", r#"{"prompt":["a","b"]}"#, 400, "one `prompt` a request"),
        ("/v1/completions", r#"{"prompt":-3}"#, 400, "a whole number of tokens"),
        ("/v1/completions", r#"{"prompt":"a","max_tokens":0}"#, 400, "`max_tokens` must be at least 1"),
        ("/v1/completions", r#"{"prompt":"a","max_tokens":-1}"#, 400, "invalid value"),
        ("/v1/completions", r#"{"prompt":9000000}"#, 400, "exceed the context length of 131072 tokens"),
        ("/v1/completions", r#"{"prompt":"a","model":"gpt"}"#, 404, "The model `gpt` does not exist"),
        ("/v1/chat/completions", "{}", 400, "`messages` is missing"),
        ("/sleep?level=3", "", 400, "`level` must be 0, 1 or 2"),
        ("/sleep?level=x", "", 400, "`level` must be 0, 1 or 2"),
        ("/v1/embeddings", "{}", 404, "no such route"),
        ("/health", "", 405, "does not take this method"),
    ] {
        let (got, answer) = server.json("POST", path, body).await;
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(got, status, "{path} {body}: {answer}");
        assert!(said.contains(message), "{path} {body}: {said}");
        assert_eq!(answer["error"]["code"], status);
    }
    assert_eq!(server.metric("vllm:generation_tokens_total").await, 0.0);
}

#[tokio::test]
async fn answers_503_until_started() {
    let server = start(EngineOptions { startup: Startup::Fixed(Duration::from_hours(1)), ..quick() }).await;
    for (method, path) in [("GET", "/health"), ("GET", "/metrics"), ("GET", "/v1/models"), ("POST", "/v1/completions")]
    {
        let (status, answer) = server.json(method, path, r#"{"prompt":"a"}"#).await;
        assert_eq!((status, &answer["error"]["message"]), (503, &json!("Loading model")), "{path}");
    }
    let started = start(EngineOptions { startup: Startup::Fixed(Duration::from_secs(2)), ..quick() }).await;
    bounded(async { while started.ask("GET", "/health", "").await.0 != 200 {} }).await;
    let (_, models) = started.json("GET", "/v1/models", "").await;
    assert_eq!(models["data"][0]["id"], "meta-llama/Llama-3.1-8B-Instruct");
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place() {
    let server = start(EngineOptions { speed: 1.0, ..quick() }).await;
    let stream = server.send("POST", "/v1/completions", r#"{"prompt":1000,"max_tokens":100000,"stream":true}"#).await;
    let whole = server.send("POST", "/v1/completions", r#"{"prompt":1000,"max_tokens":100000}"#).await;
    server.wait_for_metric("vllm:num_requests_running", 2.0).await;
    drop((stream, whole));
    server.wait_for_metric("vllm:num_requests_running", 0.0).await;
    assert_eq!(server.metric("vllm:request_success_total{engine=\"0\",finished_reason=\"abort\"").await, 2.0);
    assert_eq!(server.metric("vllm:kv_cache_usage_perc").await, 0.0);
}

#[tokio::test]
async fn sleep_holds_requests_and_hides_them_until_the_wake() {
    let server = start(quick()).await;
    assert_eq!(server.ask("POST", "/sleep?level=1", "").await.0, 200);
    assert_eq!(server.json("GET", "/is_sleeping", "").await.1, json!({"is_sleeping": true}));
    assert_eq!(server.ask("GET", "/health", "").await.0, 200);
    let mut held = server.send("POST", "/v1/completions", r#"{"prompt":"a","max_tokens":2}"#).await;
    assert_eq!(server.metric("vllm:num_requests_waiting").await, 0.0);
    assert_eq!(server.metric("vllm:engine_sleep_state{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\",sleep_state=\"weights_offloaded\"}").await, 1.0);
    assert_eq!(server.ask("POST", "/wake_up", "").await.0, 200);
    assert_eq!(server.json("GET", "/is_sleeping", "").await.1, json!({"is_sleeping": false}));
    let mut answer = String::new();
    bounded(held.read_to_string(&mut answer)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn shutdown_ends_open_streams_and_says_so() {
    let server = start(EngineOptions { speed: 1.0, ..quick() }).await;
    let mut stream =
        server.send("POST", "/v1/completions", r#"{"prompt":1000,"max_tokens":100000,"stream":true}"#).await;
    let mut whole = server.send("POST", "/v1/completions", r#"{"prompt":1000,"max_tokens":100000}"#).await;
    server.wait_for_metric("vllm:num_requests_running", 2.0).await;
    server.shutdown.cancel();
    bounded(server.task).await.expect("no panic").expect("served");
    let (mut streamed, mut answered) = (String::new(), String::new());
    bounded(stream.read_to_string(&mut streamed)).await.expect("ended");
    bounded(whole.read_to_string(&mut answered)).await.expect("ended");
    assert!(streamed.contains("shutting down") && !streamed.contains("[DONE]"), "{streamed}");
    assert!(answered.starts_with("HTTP/1.1 503"), "{answered}");
    TcpStream::connect(server.address).await.expect_err("no longer listens");
}

#[tokio::test]
async fn a_speed_that_is_no_number_is_refused() {
    for speed in [0.0, -1.0, f64::NAN] {
        let server = start(EngineOptions { speed, ..quick() }).await;
        let error = bounded(server.task).await.expect("no panic").expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

/// Every sample belongs to a family declared just before it, names are written once, and histograms add up.
#[tokio::test]
async fn the_metrics_page_is_well_formed() {
    let server = start(EngineOptions { model: Some("a \"quoted\\\" one".to_owned()), ..quick() }).await;
    for _ in 0..3 {
        assert_eq!(server.ask("POST", "/v1/completions", r#"{"prompt":"a","max_tokens":3}"#).await.0, 200);
    }
    let (_, page) = server.ask("GET", "/metrics", "").await;
    let (mut family, mut seen, mut series) = (String::new(), Vec::new(), Vec::new());
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().expect("a name").to_owned();
            assert!(!seen.contains(&family), "{family} twice");
            seen.push(family.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert!(kind.starts_with(&format!("{family} ")), "{kind}");
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            assert!(name.starts_with(&family), "{name} under {family}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(name.contains("engine=\"0\""), "{line}");
            assert!(!series.contains(&name.to_owned()), "{name} twice");
            series.push(name.to_owned());
        }
    }
    assert!(page.contains(r#"model_name="a \"quoted\\\" one""#), "{page}");
}
