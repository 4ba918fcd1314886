//! Sources: where readings come from.
//!
//! For: turning pages of metrics into samples. Never judges a number (sanitising, ageing and coverage are the control
//! core's) and never acts on one.

mod live;
mod page;
mod spec;

pub use live::{connect, fixed};
pub use page::{MAX_SAMPLES, PageError, engine_samples, page_samples};
pub use spec::{Across, EngineSpec, ExpositionSpec, Scheme, SignalSpec, SourceSpec, Within};

use trimtab_control::sample::Sample;

use crate::target::{BoxFuture, Endpoint};

/// Something that gives readings of one workload.
pub trait Source: Send + Sync {
    /// What it is, short and safe as a metric label: the preset's name, `exposition`, `dry-run`.
    fn name(&self) -> &'static str;

    /// Whether it reads each replica; else one reading speaks for the whole workload.
    fn per_replica(&self) -> bool;

    /// The address that it reads, as reports and messages name it: without its query; empty where there is none.
    fn place(&self, replica: Option<&Endpoint>) -> String;

    /// One reading, of `replica` exactly where it reads replicas. Bounded in size; whoever calls bounds the time.
    fn read<'a>(&'a self, replica: Option<&'a Endpoint>) -> BoxFuture<'a, Result<Vec<Sample>, ReadError>>;
}

/// Why there is no reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ReadError {
    /// Stable, safe as a metric label: `connect`, `timeout`, `status`, `not-metrics`, `too-large`, `parse`,
    /// `no-metrics` (a page without any of the names looked for), `auth`, `tls`, `other`.
    pub code: &'static str,
    /// The address.
    pub place: String,
    /// What is wrong, cleaned, one line of at most 1 KiB, and the fix where one is known.
    pub message: String,
}
