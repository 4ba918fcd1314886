//! What a manifest says of a source, as plain data.
//!
//! For: the manifest reader builds it, `source` makes it live. Already checked and defaulted; never reads a file.

use http::Uri;
use trimtab_control::sample::Labels;

use crate::client::{AuthSpec, TlsSpec};
use crate::presets::Preset;

/// One entry of a workload's `metrics`.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceSpec {
    /// The page of each replica, read by an engine's preset.
    Engine(EngineSpec),
    /// One page of anything.
    Exposition(ExpositionSpec),
}

impl SourceSpec {
    /// The raw signals it can give.
    pub fn signals(&self) -> Vec<&str> {
        match self {
            SourceSpec::Engine(engine) => engine.preset.rows.iter().map(|row| row.signal).collect(),
            SourceSpec::Exposition(page) => page.signals.iter().map(|signal| signal.name.as_str()).collect(),
        }
    }
}

/// How to reach a replica's page where it differs from the replica's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

/// Reads each serving and draining replica.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSpec {
    /// Which metrics are which signals.
    pub preset: &'static Preset,
    /// Path of the page, with its leading `/`, perhaps with a query. The preset knows the default.
    pub path: String,
    /// None: the port of the replica's own address.
    pub port: Option<u16>,
    /// None: that of the replica's own address.
    pub scheme: Option<Scheme>,
    /// Labels a series must carry to count (`match`), for pages shared by several models.
    pub labels: Labels,
    /// Who asks.
    pub auth: Option<AuthSpec>,
    /// Whom to trust.
    pub tls: TlsSpec,
}

/// Reads one page that speaks for the whole workload.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpositionSpec {
    /// From `client::parse_url`.
    pub url: Uri,
    /// What to take from it; names unique, at least one.
    pub signals: Vec<SignalSpec>,
    /// Who asks.
    pub auth: Option<AuthSpec>,
    /// Whom to trust.
    pub tls: TlsSpec,
}

/// One signal of an exposition page.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalSpec {
    /// The signal it becomes.
    pub name: String,
    /// The metric's name on the page: of the sample (`x_total`) or, for histograms, of the family.
    pub metric: String,
    /// Labels a series must carry to count (`match`).
    pub labels: Labels,
    /// Whether the number is a level or a running total. None: as the page's `# TYPE` says; untyped is a level.
    pub within: Option<Within>,
    /// How the series that match become one. None: they stay apart, each with its labels.
    pub across: Option<Across>,
}

/// How readings of one series over time become one value per step. The default of whoever asks for the signal decides
/// between `Last`, `Mean` and `Max`; to a source they all say "a level".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// The newest.
    Last,
    /// The mean.
    Mean,
    /// The greatest.
    Max,
    /// The increase per second of a running total.
    Rate,
}

impl Within {
    /// By its name in manifests.
    pub fn parse(name: &str) -> Option<Within> {
        Some(match name {
            "last" => Within::Last,
            "mean" => Within::Mean,
            "max" => Within::Max,
            "rate" => Within::Rate,
            _ => return None,
        })
    }
}

/// How several series become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// Added; the only one that histograms know.
    Sum,
    /// The mean.
    Mean,
    /// The greatest.
    Max,
    /// The smallest.
    Min,
    /// The nearest-rank percentile, 1 to 99.
    Percentile(u8),
}

impl Across {
    /// By its name in manifests: `sum`, `mean`, `max`, `min`, `p1` to `p99`.
    pub fn parse(name: &str) -> Option<Across> {
        Some(match name {
            "sum" => Across::Sum,
            "mean" => Across::Mean,
            "max" => Across::Max,
            "min" => Across::Min,
            _ => {
                let digits = name.strip_prefix('p')?;
                let percent = digits.parse().ok().filter(|p| (1..=99).contains(p))?;
                Across::Percentile(percent)
            }
        })
    }
}
