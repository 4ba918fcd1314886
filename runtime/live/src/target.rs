//! The seam to whatever runs replicas: what a pool's target is asked, and what it reports.
//!
//! For: one trait, the values that cross it, and the checked settings of each kind of target. A target carries totals
//! out and reports what is there; it never decides how many replicas there should be, and never starts or stops one
//! because the daemon restarted.

mod dry_run;
mod process;
mod webhook;

pub use process::{Processes, keep_files};

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use trimtab_control::config::WorkloadId;
use trimtab_control::decision::Action;
use trimtab_control::sample::PoolReport;
use trimtab_control::time::{Span, Time};

use crate::client::{AuthSpec, Client, TlsSpec};
use crate::clock::Clock;
use crate::store::Store;

/// A future that can be stored and sent: what the methods of dynamic traits return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where one replica answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The pool's name.
    pub pool: Arc<str>,
    /// The replica's identity, as in the pool's report.
    pub replica: Arc<str>,
    /// `http://host:port`, without a path.
    pub url: String,
    /// False while it drains: still scraped, no longer given to clients.
    pub serving: bool,
}

/// What a target says of its pool.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetReport {
    /// For the controller.
    pub report: PoolReport,
    /// For scraping and for clients.
    pub endpoints: Vec<Endpoint>,
    /// What is wrong, one escaped line each, for a person: a command that does not start, no free port. At most 16.
    pub notes: Vec<String>,
}

/// Why a target did not do, or did not say, what it was asked. The text names the place and, where known, the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It said no, and would again.
    #[error("{0}")]
    Refused(String),
    /// It could not be asked, or gave no usable answer; a later try may do better.
    #[error("{0}")]
    Failed(String),
}

/// What runs the replicas of one pool.
pub trait Target: Send + Sync {
    /// What there is now.
    fn report(&self) -> BoxFuture<'_, Result<TargetReport, TargetError>>;

    /// Accepts the totals of an action. Idempotent; returns when they are accepted, not when replicas are ready.
    fn apply<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<(), TargetError>>;

    /// Where its replicas answer now. Never waits for longer than a fraction of a second: clients ask often.
    fn endpoints(&self) -> BoxFuture<'_, Vec<Endpoint>>;

    /// Requests running and queued per replica, as read at that instant: it tells who is removed first and when a
    /// draining replica is done. Called after each scrape round with what is known.
    fn note_work(&self, work: &[(Arc<str>, f64, Time)]) {
        let _ = work;
    }
}

/// How a pool is run: checked, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetSpec {
    /// Servers on this host.
    Process(ProcessSpec),
    /// Anything that answers one URL.
    Webhook(WebhookSpec),
    /// Replicas in memory only.
    DryRun(DryRunSpec),
}

/// The target that a manifest describes. What already runs in its name is found again, and not reported before.
pub fn connect(
    id: &WorkloadId,
    pool: &str,
    spec: &TargetSpec,
    client: &Client,
    store: &Store,
    clock: &Clock,
    processes: &Processes,
) -> Arc<dyn Target> {
    match spec {
        TargetSpec::Process(spec) => processes.connect(id, pool, spec),
        TargetSpec::Webhook(spec) => webhook::connect(id, pool, spec, client, store, clock),
        TargetSpec::DryRun(spec) => dry_run::connect(id, pool, spec, store, clock),
    }
}

/// Servers on this host, one process each (Linux).
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSpec {
    /// Program and arguments, at least one. `{port}`, `{name}` (of the replica, unique) and `{pool}` are filled in.
    pub command: Vec<String>,
    /// Ports the replicas may listen on.
    pub ports: RangeInclusive<u16>,
    /// Added to the daemon's own environment; the same three names are filled in.
    pub env: BTreeMap<String, String>,
    /// Where it runs; none: where the daemon runs.
    pub working_dir: Option<PathBuf>,
    /// When a replica counts as ready.
    pub ready: ReadySpec,
    /// How a replica leaves.
    pub drain: DrainSpec,
    /// How a replica goes to sleep and wakes; none: the pool has no standby tier.
    pub standby: Option<StandbySpec>,
}

/// A replica is ready when a GET is answered with a 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadySpec {
    /// Path and query, beginning with a slash.
    pub http_get: String,
    /// A replica that is not ready so long after its start is ended, which counts as a death.
    pub timeout: Span,
}

impl Default for ReadySpec {
    fn default() -> Self {
        ReadySpec { http_get: "/health".into(), timeout: Span::seconds(60) }
    }
}

/// How a replica leaves: it is no endpoint any more, `grace` passes, then it ends once it has no work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainSpec {
    /// For clients to notice.
    pub grace: Span,
    /// It is ended after so long whatever it still does, counted from the start of the drain.
    pub timeout: Span,
}

impl Default for DrainSpec {
    fn default() -> Self {
        DrainSpec { grace: Span::seconds(5), timeout: Span::seconds(120) }
    }
}

/// The calls that put a replica to sleep and wake it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandbySpec {
    /// Made once the replica has drained.
    pub enter: HttpCall,
    /// Made to serve again.
    pub leave: HttpCall,
}

/// A method and a path, written as `POST /sleep?level=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// GET, PUT or POST.
    pub method: http::Method,
    /// Path and query, beginning with a slash.
    pub path: String,
}

/// Why a text is not an [`HttpCall`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a call: write a method (GET, PUT or POST), a space and a path, such as `POST /sleep?level=1`")]
pub struct HttpCallError(String);

impl std::str::FromStr for HttpCall {
    type Err = HttpCallError;

    fn from_str(text: &str) -> Result<HttpCall, HttpCallError> {
        let wrong = || HttpCallError(text.escape_debug().to_string());
        let (method, path) = text.split_once(' ').ok_or_else(wrong)?;
        let method = match method {
            "GET" => http::Method::GET,
            "PUT" => http::Method::PUT,
            "POST" => http::Method::POST,
            _ => return Err(wrong()),
        };
        let fits = path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok();
        if fits { Ok(HttpCall { method, path: path.into() }) } else { Err(wrong()) }
    }
}

/// Anything that answers one URL.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookSpec {
    /// GET reports, PUT asks.
    pub url: String,
    /// Of one request.
    pub timeout: Span,
    /// What to show the server; none: nothing.
    pub auth: Option<AuthSpec>,
    /// Whom to trust behind `https`.
    pub tls: TlsSpec,
}

/// Replicas in memory: decisions are followed, nothing is run.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRunSpec {
    /// How many there are at the start.
    pub replicas: u32,
    /// Where metrics may be read; the first belongs to the first replica, and so on.
    pub endpoints: Vec<String>,
    /// Signals with a fixed value, for the workload as a whole.
    pub signals: BTreeMap<String, f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_a_method_and_a_path() {
        let call: HttpCall = "POST /sleep?level=1".parse().unwrap();
        assert_eq!((call.method, call.path.as_str()), (http::Method::POST, "/sleep?level=1"));
        for wrong in ["", "POST", "POST sleep", "/sleep", "DELETE /x", "post /x", "POST /a b", "POST  /x"] {
            assert!(wrong.parse::<HttpCall>().is_err(), "{wrong:?}");
        }
    }
}
