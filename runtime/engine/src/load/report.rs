//! What came of the load: running figures, the final report, and its table.
//!
//! For: numbers with stated denominators. `offered = completed + failed + shed`. Never rounds what it keeps (histograms
//! hold three digits).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::endpoints::GatewayCounters;
use super::request::Outcome;

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// No connection.
    Connect,
    /// An answer other than 2xx.
    Status,
    /// The connection or the stream ended before the answer did.
    Broken,
    /// No complete answer in time.
    Timeout,
    /// No endpoint in time.
    NoEndpoint,
    /// The run was stopped.
    Cancelled,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::Connect => "connect",
            FailureKind::Status => "status",
            FailureKind::Broken => "broken",
            FailureKind::Timeout => "timeout",
            FailureKind::NoEndpoint => "no-endpoint",
            FailureKind::Cancelled => "cancelled",
        })
    }
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// How many.
    pub count: u64,
    /// What the last one said.
    pub last: String,
}

/// Quantiles in seconds; `null` without values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: Option<f64>,
    /// 95 %.
    pub p95: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// Greatest.
    pub max: Option<f64>,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Since the start.
    pub elapsed_seconds: f64,
    /// Requests that arrived.
    pub offered: u64,
    /// Requests answered whole.
    pub completed: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests not sent because too many were in flight.
    pub shed: u64,
    /// Requests on their way, queued ones included.
    pub in_flight: usize,
    /// Requests waiting for an endpoint: the gateway's queue.
    pub gateway_queue: usize,
    /// Connections refused and tried elsewhere.
    pub retries: u64,
    /// Endpoints now.
    pub endpoints: usize,
    /// Output tokens received with complete answers.
    pub output_tokens: u64,
    /// Time to first token so far.
    pub ttft_seconds: Quantiles,
}

/// The final report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    /// From the start to the last answer.
    pub duration_seconds: f64,
    /// Requests that arrived: `completed + failed + shed`.
    pub offered: u64,
    /// Requests answered whole.
    pub completed: u64,
    /// Requests that failed, all kinds.
    pub failed: u64,
    /// Requests not sent because too many were in flight.
    pub shed: u64,
    /// Connections refused and tried elsewhere.
    pub retries: u64,
    /// Failures by kind.
    pub failures: BTreeMap<FailureKind, Failure>,
    /// Requests that waited for an endpoint.
    pub gateway_queued: u64,
    /// Most requests in flight.
    pub peak_in_flight: usize,
    /// Most endpoints.
    pub peak_endpoints: usize,
    /// Reads of the endpoints that failed.
    pub refresh_failures: u64,
    /// Most that this client was late with sending; large: the client, not the fleet, was the limit.
    pub send_lag_max_seconds: f64,
    /// Output tokens received with complete answers.
    pub output_tokens: u64,
    /// The same, a second.
    pub output_tokens_per_second: f64,
    /// Time to first token, from the scheduled arrival, queueing included.
    pub ttft_seconds: Quantiles,
    /// Time per output token after the first: (last - first) / (tokens - 1), of requests with more than one.
    pub tpot_seconds: Quantiles,
    /// From the scheduled arrival to the last byte.
    pub end_to_end_seconds: Quantiles,
}

/// Running figures.
#[derive(Debug)]
pub(super) struct Tally {
    offered: u64,
    completed: u64,
    shed: u64,
    retries: u64,
    failures: BTreeMap<FailureKind, Failure>,
    peak_in_flight: usize,
    send_lag: Duration,
    output_tokens: u64,
    ttft: Histogram<u64>,
    tpot: Histogram<u64>,
    end_to_end: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        // One microsecond to one hour, three digits; beyond counts as an hour.
        let histogram = || {
            // Only a bad range or precision is refused, and these are constants.
            #[allow(clippy::expect_used)]
            Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("a valid range and precision")
        };
        Tally {
            offered: 0,
            completed: 0,
            shed: 0,
            retries: 0,
            failures: BTreeMap::new(),
            peak_in_flight: 0,
            send_lag: Duration::ZERO,
            output_tokens: 0,
            ttft: histogram(),
            tpot: histogram(),
            end_to_end: histogram(),
        }
    }

    pub(super) fn offered(&mut self, lag: Duration) {
        self.offered += 1;
        self.send_lag = self.send_lag.max(lag);
    }

    pub(super) fn shed(&mut self) {
        self.shed += 1;
    }

    pub(super) fn in_flight(&mut self, count: usize) {
        self.peak_in_flight = self.peak_in_flight.max(count);
    }

    pub(super) fn fail(&mut self, kind: FailureKind, message: &str) {
        let failure = self.failures.entry(kind).or_insert(Failure { count: 0, last: String::new() });
        failure.count += 1;
        message.clone_into(&mut failure.last);
    }

    pub(super) fn record(&mut self, outcome: &Outcome) {
        self.retries += u64::from(outcome.retries);
        let measured = match &outcome.result {
            Ok(measured) => measured,
            Err((kind, message)) => return self.fail(*kind, message),
        };
        self.completed += 1;
        self.output_tokens += measured.tokens;
        put(&mut self.ttft, measured.first_token);
        put(&mut self.end_to_end, measured.end);
        if measured.tokens > 1 {
            put(&mut self.tpot, measured.decoding.div_f64((measured.tokens - 1) as f64));
        }
    }

    fn failed(&self) -> u64 {
        self.failures.values().map(|failure| failure.count).sum()
    }

    pub(super) fn snapshot(&self, elapsed: Duration, in_flight: usize, gateway: &GatewayCounters) -> Snapshot {
        Snapshot {
            elapsed_seconds: elapsed.as_secs_f64(),
            offered: self.offered,
            completed: self.completed,
            failed: self.failed(),
            shed: self.shed,
            in_flight,
            gateway_queue: gateway.queued,
            retries: self.retries,
            endpoints: gateway.endpoints,
            output_tokens: self.output_tokens,
            ttft_seconds: quantiles(&self.ttft),
        }
    }

    pub(super) fn report(self, elapsed: Duration, gateway: &GatewayCounters) -> LoadReport {
        LoadReport {
            duration_seconds: elapsed.as_secs_f64(),
            offered: self.offered,
            completed: self.completed,
            failed: self.failed(),
            shed: self.shed,
            retries: self.retries,
            gateway_queued: gateway.queued_total,
            peak_in_flight: self.peak_in_flight,
            peak_endpoints: gateway.peak_endpoints,
            refresh_failures: gateway.refresh_failures,
            send_lag_max_seconds: self.send_lag.as_secs_f64(),
            output_tokens: self.output_tokens,
            output_tokens_per_second: self.output_tokens as f64 / elapsed.as_secs_f64().max(1e-9),
            ttft_seconds: quantiles(&self.ttft),
            tpot_seconds: quantiles(&self.tpot),
            end_to_end_seconds: quantiles(&self.end_to_end),
            failures: self.failures,
        }
    }
}

fn put(histogram: &mut Histogram<u64>, value: Duration) {
    histogram.saturating_record(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
}

fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    if histogram.is_empty() {
        return Quantiles::default();
    }
    let at = |quantile| Some(histogram.value_at_quantile(quantile) as f64 * 1e-6);
    Quantiles { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: Some(histogram.max() as f64 * 1e-6) }
}

/// The table that people read.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "requests   offered {}, completed {}, failed {}, shed {}, retries {}",
            self.offered, self.completed, self.failed, self.shed, self.retries
        )?;
        for (kind, failure) in &self.failures {
            writeln!(f, "  failed   {kind} {}: {}", failure.count, failure.last)?;
        }
        writeln!(
            f,
            "gateway    waited for an endpoint {}, most in flight {}, most endpoints {}",
            self.gateway_queued, self.peak_in_flight, self.peak_endpoints
        )?;
        writeln!(
            f,
            "tokens     {} out in {:.1} s, {:.0} a second",
            self.output_tokens, self.duration_seconds, self.output_tokens_per_second
        )?;
        writeln!(f, "{:<10} {:>9} {:>9} {:>9} {:>9}", "seconds", "p50", "p95", "p99", "max")?;
        let rows = [("ttft", self.ttft_seconds), ("tpot", self.tpot_seconds), ("end-to-end", self.end_to_end_seconds)];
        for (name, row) in rows {
            write!(f, "{name:<10}")?;
            for value in [row.p50, row.p95, row.p99, row.max] {
                match value {
                    Some(seconds) => write!(f, " {seconds:>9.3}")?,
                    None => write!(f, " {:>9}", "-")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
