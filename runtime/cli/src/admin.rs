//! The verbs' side of the admin port.
//!
//! For: one GET or POST to a daemon, with the token, answered as text or as a message that names the fix. Never retries:
//! a person is waiting.

mod shapes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

pub(crate) use shapes::*;

use crate::failure::Failure;

/// No answer of the admin port is larger.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A local daemon answers at once; a far one within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which daemon a verb talks to.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The daemon's admin port
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9470")]
    pub(crate) server: String,
    /// File with the bearer token that the daemon was started with
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// `application/problem+json`, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProblemDocument {
    title: String,
    detail: String,
}

impl ServerArgs {
    /// The body of a page under the admin port.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        self.call(Method::GET, path, String::new())
    }

    /// The answer to an order.
    pub(crate) fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<String> {
        self.call(Method::POST, path, body.to_string())
    }

    fn call(&self, method: Method, path: &str, body: String) -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, self.send(method, path, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::new(
                    self.server.as_str(),
                    format!("no answer within {} s", PATIENCE.as_secs()),
                    "see whether the daemon still runs: its log, and `/healthz`",
                )
                .into()),
            }
        })
    }

    fn request(&self, method: Method, path: &str, body: String) -> anyhow::Result<Request<Full<Bytes>>> {
        let base = self.server.trim_end_matches('/');
        if !base.starts_with("http://") {
            return Err(Failure::usage(
                "--server",
                format!("`{base}` is no address that this version can call"),
                "write http://HOST:PORT; for a daemon with TLS, forward its port and use that",
            )
            .into());
        }
        let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(file) = &self.token_file {
            let token = std::fs::read_to_string(file).map_err(|e| {
                Failure::new(file.display().to_string(), format!("cannot read the token: {e}"), "name a readable file")
            })?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        request.body(Full::new(Bytes::from(body))).map_err(|e| {
            Failure::usage(
                "--server",
                format!("`{base}`: {e}"),
                "write http://HOST:PORT, such as http://127.0.0.1:9470",
            )
            .into()
        })
    }

    async fn send(&self, method: Method, path: &str, body: String) -> anyhow::Result<String> {
        let request = self.request(method, path, body)?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let answer = client.request(request).await.map_err(|e| {
            let why = root_cause(&e);
            Failure::new(
                self.server.as_str(),
                format!("no daemon answers: {why}"),
                "start one with `trimtab run -f FILE`, or name its admin port with --server",
            )
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|e| Failure::new(self.server.as_str(), format!("the answer broke off: {e}"), ""))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        if status.is_success() { Ok(text) } else { Err(self.refusal(status, path, &text).into()) }
    }

    fn refusal(&self, status: StatusCode, path: &str, body: &str) -> Failure {
        let problem: ProblemDocument = serde_json::from_str(body).unwrap_or_default();
        let detail = if problem.detail.is_empty() { problem.title } else { problem.detail };
        let detail = if detail.is_empty() { format!("it answered {status}") } else { detail };
        let fix = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "name the daemon's token with --token-file",
            StatusCode::NOT_FOUND => "`trimtab status` and `trimtab policy list` show what there is",
            _ => "",
        };
        Failure::new(format!("{}{path}", self.server.trim_end_matches('/')), detail, fix)
    }
}

/// The innermost cause: "connection refused", not "client error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Reads an answer of the admin port.
pub(crate) fn parse<T: for<'a> Deserialize<'a>>(text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).context("the daemon's answer is not what this version reads")
}
