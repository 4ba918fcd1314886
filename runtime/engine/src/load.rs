//! The load client: requests at the times a seeded process says, whatever the servers do.
//!
//! For: measuring a fleet as its users see it. Open loop: an arrival never waits for an answer, and latency counts from
//! the scheduled arrival, so a slow fleet cannot slow the load down and hide itself. It follows the daemon's endpoints as
//! a gateway would: refreshed every two seconds, least outstanding first, a refused connection tried elsewhere.
//!
//! Never: drops a request silently (every one offered is completed, failed by kind, or shed by the stated bound), or
//! sends a request again once a byte of an answer was there.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod arrivals;
mod endpoints;
mod report;
mod request;
#[cfg(test)]
mod tests;

pub use arrivals::{Arrival, Shape, TraceError, read_trace};
pub use endpoints::{Balance, Endpoints};
pub use report::{Failure, FailureKind, LoadReport, Quantiles, Snapshot};

use arrivals::Arrivals;
use endpoints::Gateway;
use report::Tally;
use request::Sender;

/// Time between two progress reports.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What to send, where, and for how long.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where the replicas are.
    pub endpoints: Endpoints,
    /// How a replica is chosen.
    pub balance: Balance,
    /// Time between two reads of the endpoints.
    pub refresh: Duration,
    /// When requests arrive.
    pub shape: Shape,
    /// How long they arrive. A trace ends by itself when it is shorter.
    pub duration: Duration,
    /// For arrivals and lengths: same seed, same requests at the same times.
    pub seed: u64,
    /// Median prompt length in tokens (a trace brings its own).
    pub input_tokens: u32,
    /// Median output length in tokens (a trace brings its own).
    pub output_tokens: u32,
    /// Sigma of the logarithm of both lengths; 0 makes all alike.
    pub spread: f64,
    /// The `model` field; left out when `None`.
    pub model: Option<String>,
    /// Most requests in flight, those waiting for an endpoint included; one more is shed and counted.
    pub max_in_flight: usize,
    /// Longest wait for an endpoint to be there.
    pub queue_timeout: Duration,
    /// Longest time from arrival to the last byte.
    pub request_timeout: Duration,
    /// Whether a refused connection is tried on another endpoint.
    pub retry: bool,
    /// Sent as `Authorization: Bearer` to the endpoints URL alone.
    pub token: Option<String>,
}

impl LoadOptions {
    /// Ten requests a second of 512 in and 128 out for a minute, seed 1.
    #[must_use]
    pub fn new(endpoints: Endpoints) -> LoadOptions {
        LoadOptions {
            endpoints,
            balance: Balance::LeastOutstanding,
            refresh: Duration::from_secs(2),
            shape: Shape::Steady { rate: 10.0 },
            duration: Duration::from_mins(1),
            seed: 1,
            input_tokens: 512,
            output_tokens: 128,
            spread: 0.0,
            model: None,
            max_in_flight: 2000,
            queue_timeout: Duration::from_mins(1),
            request_timeout: Duration::from_mins(2),
            retry: true,
            token: None,
        }
    }
}

/// Options that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The endpoints URL is none.
    #[error("endpoints must be an http:// URL, not {0:?}; for a daemon behind TLS forward its port and use that")]
    Url(String),
    /// A rate that is not a positive number.
    #[error("a rate must be a positive number of requests a second, not {0}")]
    Rate(f64),
    /// No room for any request.
    #[error("max_in_flight must be at least 1")]
    NoRoom,
    /// A sigma that is negative or no number.
    #[error("spread must be zero or a positive number, not {0}")]
    Spread(f64),
}

/// Sends the load, calls `progress` five times a second and once at the end, and reports. `stop` ends it early: no
/// further arrivals, and what is in flight counts as cancelled.
pub async fn run(
    options: LoadOptions,
    mut progress: impl FnMut(&Snapshot),
    stop: CancellationToken,
) -> Result<LoadReport, LoadError> {
    if options.max_in_flight == 0 {
        return Err(LoadError::NoRoom);
    }
    if !(options.spread.is_finite() && options.spread >= 0.0) {
        return Err(LoadError::Spread(options.spread));
    }
    let mut arrivals = Arrivals::new(&options)?;
    let gateway = Arc::new(Gateway::new(&options)?);
    let sender = Arc::new(Sender::new(Arc::clone(&gateway), &options));
    let following = Arc::clone(&gateway);
    let follower = tokio::spawn(async move { following.follow().await });

    let started = Instant::now();
    let mut tally = Tally::new();
    let mut in_flight: JoinSet<request::Outcome> = JoinSet::new();
    let mut report_every = tokio::time::interval(PROGRESS_EVERY);
    let mut next = arrivals.next();
    loop {
        let due = next.as_ref().map(|arrival| started + arrival.at);
        if due.is_none() && in_flight.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep_until(due), if due.is_some() => {
                if let (Some(arrival), Some(due)) = (next.take(), due) {
                    tally.offered(due.elapsed());
                    if in_flight.len() >= options.max_in_flight {
                        tally.shed();
                    } else {
                        let sender = Arc::clone(&sender);
                        in_flight.spawn(async move { sender.send(arrival, due).await });
                    }
                    tally.in_flight(in_flight.len());
                }
                next = arrivals.next();
            }
            Some(ended) = in_flight.join_next() => match ended {
                Ok(outcome) => tally.record(&outcome),
                Err(error) => tally.fail(FailureKind::Cancelled, &error.to_string()),
            },
            _ = report_every.tick() => progress(&tally.snapshot(started.elapsed(), in_flight.len(), &gateway.counters())),
        }
    }
    follower.abort();
    for _ in 0..in_flight.len() {
        tally.fail(FailureKind::Cancelled, "stopped before the answer was complete");
    }
    in_flight.shutdown().await;
    let counters = gateway.counters();
    progress(&tally.snapshot(started.elapsed(), 0, &counters));
    Ok(tally.report(started.elapsed(), &counters))
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}
