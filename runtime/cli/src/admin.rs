//! The verbs' side of the admin port.
//!
//! For: one GET or POST to a daemon, with the token, answered as text or as a message that names the fix. Never retries:
//! a person is waiting.

mod shapes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use http::{Method, StatusCode};
use serde::Deserialize;
use trimtab_live::client::{AuthSpec, Client, ClientError, Fault, Request, TlsSpec, parse_url};

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
    /// PEM file of the authority that signed the daemon's certificate, where browsers do not know it
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
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
        self.call(Method::GET, path, None)
    }

    /// The answer to an order.
    pub(crate) fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<String> {
        self.call(Method::POST, path, Some(body.to_string()))
    }

    fn call(&self, method: Method, path: &str, json: Option<String>) -> anyhow::Result<String> {
        let base = self.server.trim_end_matches('/');
        let fix = "write http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:9470";
        let url = parse_url(&format!("{base}{path}"));
        let url = url.map_err(|error| Failure::usage("--server", format!("`{base}`: {error}"), fix))?;
        let auth = self.token_file.clone().map(|file| AuthSpec::Bearer { file });
        let request = Request {
            json: json.map(Into::into),
            auth: auth.as_ref(),
            tls: &TlsSpec { ca_file: self.ca_file.clone() },
            timeout: PATIENCE,
            max_bytes: MOST_BYTES,
            ..Request::new(method, &url)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(Client::new().send(request)).map_err(|error| self.failure(path, error))?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    fn failure(&self, path: &str, error: ClientError) -> Failure {
        let server = self.server.trim_end_matches('/');
        match error.fault {
            Fault::Connect(why) => Failure::new(
                server,
                format!("no daemon answers: {why}"),
                "start one with `trimtab run -f FILE`, or name its admin port with --server",
            ),
            Fault::Timeout(patience) => Failure::new(
                server,
                format!("no answer within {} s", patience.as_secs()),
                "see whether the daemon still runs: its log, and `/healthz`",
            ),
            Fault::Status { status, body } => {
                let problem: ProblemDocument = serde_json::from_slice(&body).unwrap_or_default();
                let detail = if problem.detail.is_empty() { problem.title } else { problem.detail };
                let detail = if detail.is_empty() { format!("it answered {status}") } else { detail };
                let fix = match status {
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "name the daemon's token with --token-file",
                    StatusCode::NOT_FOUND => "`trimtab status` and `trimtab policy list` show what there is",
                    _ => "",
                };
                Failure::new(format!("{server}{path}"), detail, fix)
            }
            fault => Failure::new(server, fault.to_string(), ""),
        }
    }
}

/// Reads an answer of the admin port.
pub(crate) fn parse<T: for<'a> Deserialize<'a>>(text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).context("the daemon's answer is not what this version reads")
}
