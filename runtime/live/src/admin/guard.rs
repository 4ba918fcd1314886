//! Who may ask: the checks that stand before everything under `/v1`.
//!
//! For: keeping out web pages that a browser on this host has open (the `Host` they send is not ours, and they cannot
//! send JSON without asking first, which nobody answers), and strangers without the token. `/healthz`, `/readyz` and
//! `/metrics` change nothing, name no secret, and are free of all of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, header};

use super::problem::ProblemDocument;
use super::secrets::Token;

/// Nothing takes longer than an order that waits for a tick under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of a request.
pub(super) struct Guard {
    /// The port is on loopback: only names of this host are answered.
    pub(super) loopback: bool,
    pub(super) token: Option<Token>,
}

/// Middleware: checks, then bounds the time.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if let Err(problem) = guard.admit(&request) {
        return problem.into_response();
    }
    let Ok(response) = tokio::time::timeout(PATIENCE, next.run(request)).await else {
        let detail = format!("no answer within {} s; nothing is known of what became of it", PATIENCE.as_secs());
        return ProblemDocument::new(StatusCode::GATEWAY_TIMEOUT, detail).into_response();
    };
    response
}

impl Guard {
    fn admit(&self, request: &Request) -> Result<(), ProblemDocument> {
        if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
            return Ok(());
        }
        if self.loopback && !names_this_host(request) {
            return Err(ProblemDocument::new(
                StatusCode::MISDIRECTED_REQUEST,
                "the admin port on loopback answers to the hosts localhost, 127.0.0.1 and [::1]; use one of them in the URL",
            ));
        }
        if let Some(token) = &self.token
            && !bearer(request.headers()).is_some_and(|shown| token.is(shown))
        {
            return Err(ProblemDocument::new(
                StatusCode::UNAUTHORIZED,
                "the bearer token is missing or wrong; the verbs take it with --token-file",
            ));
        }
        if request.method() == Method::POST && !is_json(request.headers()) {
            return Err(ProblemDocument::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the body as `Content-Type: application/json`",
            ));
        }
        Ok(())
    }
}

/// Every host that the request names is this one, and it names at least one.
fn names_this_host(request: &Request) -> bool {
    let lines = request.headers().get_all(header::HOST).iter();
    let written = lines.map(|line| line.to_str().ok().and_then(|text| text.parse::<Authority>().ok()));
    let mut named: Vec<Option<Authority>> = written.collect();
    named.extend(request.uri().authority().cloned().map(Some));
    let ours = |authority: &Option<Authority>| {
        authority.as_ref().is_some_and(|authority| {
            let host = authority.host();
            !authority.as_str().contains('@')
                && (host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]"))
        })
    };
    !named.is_empty() && named.iter().all(ours)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
