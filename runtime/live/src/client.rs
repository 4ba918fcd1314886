//! HTTP as a client: one request, one bounded answer.
//!
//! For: everything the daemon asks of others (pages of metrics, webhooks, readiness of processes) and what the verbs ask
//! of the daemon. Never follows a redirect, never reads more than it was told to, never waits longer than it was told to.

mod failure;
mod file;
mod secret;
#[cfg(test)]
pub(crate) mod tests;
mod trust;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};

pub use failure::{ClientError, Fault};

use trust::Trust;

/// Who asks, as servers see it.
const USER_AGENT: &str = concat!("trimtab/", env!("CARGO_PKG_VERSION"));

/// As much as is read of the body of an answer that is not a 2xx.
const MOST_OF_A_REFUSAL: usize = 4096;

static BROWSERS: TlsSpec = TlsSpec { ca_file: None };

/// What to show a server that wants to know who asks. Files are read again at every request, so that a rotated secret
/// takes effect at once; white space around the content is cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthSpec {
    /// `Authorization: Bearer …` from a file.
    Bearer {
        /// Holds the token.
        file: PathBuf,
    },
    /// Any other header, its value from a file.
    Header {
        /// The header.
        name: HeaderName,
        /// Holds the value.
        file: PathBuf,
    },
}

/// Whom to trust behind `https`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSpec {
    /// PEM file of the only authorities to trust. None: those that browsers trust.
    pub ca_file: Option<PathBuf>,
}

/// One request. Written as `Request { timeout, ..Request::new(Method::GET, &url) }`.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Which.
    pub method: Method,
    /// Where, as [`parse_url`] reads it.
    pub url: &'a Uri,
    /// Value of the `Accept` header.
    pub accept: &'static str,
    /// Sent as `application/json`; none: no body.
    pub json: Option<Bytes>,
    /// What to show the server; none: nothing.
    pub auth: Option<&'a AuthSpec>,
    /// Whom to trust behind `https`.
    pub tls: &'a TlsSpec,
    /// From the first step to the last byte of the answer.
    pub timeout: Duration,
    /// The largest body of an answer, bytes.
    pub max_bytes: usize,
}

impl<'a> Request<'a> {
    /// Anything accepted, no body, nothing shown, within 10 s and 1 MiB.
    pub fn new(method: Method, url: &'a Uri) -> Request<'a> {
        Request {
            method,
            url,
            accept: "*/*",
            json: None,
            auth: None,
            tls: &BROWSERS,
            timeout: Duration::from_secs(10),
            max_bytes: 1 << 20,
        }
    }

    async fn to_http(&self) -> Result<http::Request<Full<Bytes>>, Fault> {
        let mut request = http::Request::new(Full::new(self.json.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static(self.accept));
        if self.json.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        } else if self.method != Method::GET {
            // Left out for an empty body otherwise, and some servers then wait for one.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(auth) = self.auth {
            let (name, value) = secret::header(auth).await?;
            headers.insert(name, value);
        }
        Ok(request)
    }
}

/// A whole answer with a 2xx.
#[derive(Debug, Clone)]
pub struct Response {
    /// 200 to 299.
    pub status: StatusCode,
    /// As the server wrote it.
    pub content_type: Option<String>,
    /// Within the limit of the request.
    pub body: Bytes,
    /// When its head arrived.
    pub at: Instant,
}

/// An HTTP client. Clones share connections, which are kept for 4 s after an answer.
#[derive(Clone)]
pub struct Client {
    trust: Arc<Trust>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Default for Client {
    fn default() -> Self {
        Client::new()
    }
}

impl Client {
    /// A client without connections.
    pub fn new() -> Client {
        Client { trust: Arc::new(Trust::new()) }
    }

    /// The answer, where it is a 2xx; anything else is an error. Dropping the future gives the request up.
    pub async fn send(&self, request: Request<'_>) -> Result<Response, ClientError> {
        let outcome = match tokio::time::timeout(request.timeout, self.exchange(&request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::Timeout(request.timeout)),
        };
        outcome.map_err(|fault| ClientError { place: place_of(request.url), fault })
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Response, Fault> {
        let wire = self.trust.wire(request.url, request.tls).await?;
        let answer = wire.request(request.to_http().await?).await.map_err(|e| Fault::of(&e, e.is_connect()))?;
        let at = Instant::now();
        let (head, body) = answer.into_parts();
        if head.status.is_redirection() {
            let to = head.headers.get(header::LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            return Err(Fault::redirect(head.status, to.as_deref()));
        }
        if !head.status.is_success() {
            return Err(Fault::Status { status: head.status, body: read_some(body).await });
        }
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).map(str::to_owned);
        Ok(Response { status: head.status, content_type, body: read_all(body, request.max_bytes).await?, at })
    }
}

/// The whole body. Stops at the first byte too many, or before it where the head says how many there are.
async fn read_all(mut body: Incoming, max_bytes: usize) -> Result<Bytes, Fault> {
    let announced = body.size_hint().lower();
    if announced > max_bytes as u64 {
        return Err(Fault::TooLarge(max_bytes));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Fault::of(&e, false))?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        if bytes.len() + data.len() > max_bytes {
            return Err(Fault::TooLarge(max_bytes));
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.into())
}

/// The beginning of the body, as far as it can be had.
async fn read_some(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < MOST_OF_A_REFUSAL {
        let Some(Ok(frame)) = body.frame().await else { break };
        let data = frame.data_ref().map_or(&[][..], |data| data);
        bytes.extend_from_slice(&data[..data.len().min(MOST_OF_A_REFUSAL - bytes.len())]);
    }
    bytes
}

/// An address for messages: without its query, which may hold a secret, and at most 512 bytes.
pub fn place_of(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http");
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    let path = match url.path() {
        "/" => "",
        path => path,
    };
    trimtab_sandbox::clean(&format!("{scheme}://{authority}{path}"), 512)
}

/// Reads an address from a manifest: `http` or `https`, a host, no user name or password, no fragment.
///
/// The error says what is wrong and how it is written right.
pub fn parse_url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|e| format!("not a URL ({e}); write it as \"http://host:port/path\""))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => return Err(format!("scheme \"{other}\" is not supported; use http or https")),
        None => return Err("a URL needs a scheme and a host; write it as \"http://host:port/path\"".to_owned()),
    }
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    if authority.contains('@') {
        return Err("a URL must not carry a user name or password; keep the secret in a file and use `auth`".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err("a URL needs a host; write it as \"http://host:port/path\"".to_owned());
    }
    Ok(uri)
}
