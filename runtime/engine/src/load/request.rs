//! One request from arrival to its last byte.
//!
//! For: sending a streaming completion, measuring it, and naming what went wrong. Never retries once the server has
//! answered anything.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::json;
use tokio::time::Instant;

use super::LoadOptions;
use super::arrivals::Arrival;
use super::endpoints::Gateway;
use super::report::FailureKind;

/// Longest TCP connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections are kept for less than servers keep them (llama.cpp and uvicorn 5 s): a request that is written as the
/// server closes is lost without a word of whether it was taken.
const POOL_IDLE: Duration = Duration::from_secs(2);
/// Longest line of an event stream that is held.
const MAX_LINE: usize = 1 << 20;
/// Bytes of an error body that are read.
const MAX_ERROR: usize = 4096;

/// How a request ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) retries: u32,
    pub(super) result: Result<Measured, (FailureKind, String)>,
}

/// A completed request; times from its scheduled arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) first_token: Duration,
    pub(super) end: Duration,
    /// Output tokens: what the server says, else the events counted.
    pub(super) tokens: u64,
    /// From the first token to the last.
    pub(super) decoding: Duration,
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Sender {
    gateway: Arc<Gateway>,
    client: Client<HttpConnector, Full<Bytes>>,
    model: Option<String>,
    queue_timeout: Duration,
    request_timeout: Duration,
    retry: bool,
}

impl Sender {
    pub(super) fn new(gateway: Arc<Gateway>, options: &LoadOptions) -> Sender {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(connector);
        Sender {
            gateway,
            client,
            model: options.model.clone(),
            queue_timeout: options.queue_timeout,
            request_timeout: options.request_timeout,
            retry: options.retry,
        }
    }

    /// Sends what arrived at `due`.
    pub(super) async fn send(&self, arrival: Arrival, due: Instant) -> Outcome {
        let mut retries = 0;
        let sending = self.attempts(arrival, due, &mut retries);
        let result = tokio::time::timeout_at(due + self.request_timeout, sending).await.unwrap_or_else(|_| {
            Err((FailureKind::Timeout, format!("no complete answer within {:?}", self.request_timeout)))
        });
        Outcome { retries, result }
    }

    async fn attempts(
        &self,
        arrival: Arrival,
        due: Instant,
        retries: &mut u32,
    ) -> Result<Measured, (FailureKind, String)> {
        let body = self.body(arrival);
        let mut refusal = None;
        loop {
            let Some(lease) = self.gateway.lease(due + self.queue_timeout).await else {
                let none = || (FailureKind::NoEndpoint, format!("no endpoint within {:?}", self.queue_timeout));
                return Err(refusal.unwrap_or_else(none));
            };
            let request = Request::post(format!("http://{}/v1/completions", lease.address))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(body.clone()))
                .map_err(|e| (FailureKind::Connect, format!("{}: {e}", lease.address)))?;
            match self.client.request(request).await {
                Ok(answer) => return measure(answer, due).await,
                Err(error) => {
                    let kind = if error.is_connect() { FailureKind::Connect } else { FailureKind::Broken };
                    let message = format!("{}: {}", lease.address, causes(&error));
                    if kind != FailureKind::Connect || !self.retry {
                        return Err((kind, message));
                    }
                    refusal = Some((kind, message));
                    self.gateway.refused(&lease.address);
                    *retries += 1;
                }
            }
        }
    }

    fn body(&self, arrival: Arrival) -> Bytes {
        let mut body = json!({
            "prompt": "abc ".repeat(arrival.input_tokens as usize),
            "max_tokens": arrival.output_tokens,
            "ignore_eos": true,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        Bytes::from(body.to_string())
    }
}

async fn measure(answer: http::Response<Incoming>, due: Instant) -> Result<Measured, (FailureKind, String)> {
    let status = answer.status();
    let mut body = answer.into_body();
    if !status.is_success() {
        let mut text = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            text.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            if text.len() >= MAX_ERROR {
                break;
            }
        }
        let text: String = String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).take(200).collect();
        return Err((FailureKind::Status, format!("{}: {text}", status.as_u16())));
    }
    let mut events = Events::default();
    let (mut first, mut last) = (None, due);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| (FailureKind::Broken, format!("the stream broke: {}", causes(&e))))?;
        let Some(data) = frame.data_ref() else { continue };
        if events.take(data).map_err(|message| (FailureKind::Broken, message))? {
            last = Instant::now();
            first.get_or_insert(last);
        }
    }
    let Some(first) = first.filter(|_| events.done) else {
        return Err((FailureKind::Broken, "the stream ended before it was complete".to_owned()));
    };
    Ok(Measured {
        first_token: first - due,
        end: due.elapsed(),
        tokens: events.usage.unwrap_or(events.counted),
        decoding: last - first,
    })
}

/// Server-sent events, line by line.
#[derive(Debug, Default)]
pub(super) struct Events {
    partial: Vec<u8>,
    pub(super) counted: u64,
    pub(super) usage: Option<u64>,
    pub(super) done: bool,
}

impl Events {
    /// Reads the next bytes; true when output tokens were in them. Errors are what the server says went wrong.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<bool, String> {
        let before = self.counted;
        let mut rest = data;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = &after[1..];
            if self.partial.is_empty() {
                self.line(line)?;
            } else {
                self.partial.extend_from_slice(line);
                let line = std::mem::take(&mut self.partial);
                self.line(&line)?;
            }
        }
        if self.partial.len() + rest.len() > MAX_LINE {
            return Err("a line of the stream is longer than 1 MiB".to_owned());
        }
        self.partial.extend_from_slice(rest);
        Ok(self.counted > before)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { return Ok(()) };
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let event: serde_json::Value =
            serde_json::from_slice(data).map_err(|e| format!("an event is not JSON: {e}"))?;
        if let Some(error) = event.get("error") {
            let text: String = error.to_string().chars().take(200).collect();
            return Err(format!("the server says: {text}"));
        }
        if let Some(tokens) = event.pointer("/usage/completion_tokens").and_then(serde_json::Value::as_u64) {
            self.usage = Some(tokens);
        }
        let text = event.pointer("/choices/0/text").and_then(serde_json::Value::as_str).unwrap_or("");
        self.counted += u64::from(!text.is_empty());
        Ok(())
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}
