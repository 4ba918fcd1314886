//! The canonical signals: one table of names, units, defaults and meanings.
//!
//! For: policies, sources and documents that must mean the same by one name. A raw signal is what a source emits; a
//! derived one is computed from raw ones here in control, per replica, before anything is summed. Never holds a value.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How the samples of one replica become one value per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Within {
    /// The newest in the step.
    Last,
    /// The mean over the step.
    Mean,
    /// The greatest in the step.
    Max,
    /// Change per second.
    Rate,
}

impl Within {
    /// The value of that name, if there is one. The empty text is none: the signal's default.
    #[must_use]
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

/// How replicas become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Across {
    /// Their sum; a missing replica counts at the greater of its last value and its pool's mean.
    Sum,
    /// The mean of those that answered.
    Mean,
    /// The greatest of those that answered.
    Max,
    /// The smallest of those that answered.
    Min,
    /// A percentile, 1 to 99: of histograms by merging their buckets, else over the replicas' values.
    Percentile(u8),
}

impl Across {
    /// The value of that name, if there is one. The empty text is none: the signal's default.
    #[must_use]
    pub fn parse(name: &str) -> Option<Across> {
        Some(match name {
            "sum" => Across::Sum,
            "mean" => Across::Mean,
            "max" => Across::Max,
            "min" => Across::Min,
            other => match other.strip_prefix('p').map(str::parse::<u8>) {
                Some(Ok(percent @ 1..=99)) => Across::Percentile(percent),
                _ => return None,
            },
        })
    }
}

/// What a canonical signal is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Read as it is, a level.
    Gauge,
    /// Read as it is, a running total; policies see its rate.
    Counter,
    /// Read as it is, a running histogram; policies see a percentile of it.
    Histogram,
    /// The rate of one raw counter.
    RateOf(&'static str),
    /// Arrivals: completions plus the growth of what is running and waiting. Engines export completions only, and those
    /// are flat at saturation.
    Arrivals,
    /// The most completions per second of one replica while its queue was not empty.
    Service,
    /// A percentile of one raw histogram.
    PercentileOf(&'static str, u8),
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// The name in manifests and policies.
    pub name: &'static str,
    /// Unit of the values a policy sees.
    pub unit: &'static str,
    /// Default within a replica.
    pub within: Within,
    /// Default across replicas.
    pub across: Across,
    /// What it is made of.
    pub origin: Origin,
    /// No engine goes beyond this (per replica; a rate for counters): a sample that says so is not believed.
    pub ceiling: f64,
    /// What it means.
    pub meaning: &'static str,
}

const fn row(
    name: &'static str,
    unit: &'static str,
    (within, across): (Within, Across),
    origin: Origin,
    ceiling: f64,
    meaning: &'static str,
) -> Signal {
    Signal { name, unit, within, across, origin, ceiling, meaning }
}

const LAST_SUM: (Within, Across) = (Within::Last, Across::Sum);
const LAST_MEAN: (Within, Across) = (Within::Last, Across::Mean);
const MEAN_MEAN: (Within, Across) = (Within::Mean, Across::Mean);
const RATE_SUM: (Within, Across) = (Within::Rate, Across::Sum);
/// A ready-made percentile cannot be merged, so the worst replica speaks for all; histograms are merged.
const LAST_WORST: (Within, Across) = (Within::Last, Across::Max);

/// A share of one, with room for rounding in the engine.
const SHARE: f64 = 1.5;
const REQUESTS: f64 = 1e7;
const REQUESTS_PER_SECOND: f64 = 1e6;
const TOKENS_PER_SECOND: f64 = 1e9;
const SECONDS: f64 = 1e6;

/// The table.
pub const SIGNALS: &[Signal] = &[
    row("queue-depth", "requests", LAST_SUM, Origin::Gauge, REQUESTS, "requests waiting in the engine"),
    row("active-sequences", "requests", LAST_SUM, Origin::Gauge, REQUESTS, "requests running, that is KV sequences"),
    row("kv-cache-usage", "0 to 1", LAST_MEAN, Origin::Gauge, SHARE, "share of the KV cache in use"),
    row("duty-cycle", "0 to 1", MEAN_MEAN, Origin::Gauge, SHARE, "share of the time the GPU was busy"),
    row("gpu-memory-usage", "0 to 1", LAST_MEAN, Origin::Gauge, SHARE, "share of the GPU's memory in use"),
    row("gpu-power", "watts", (Within::Mean, Across::Sum), Origin::Gauge, 1e6, "power drawn by the GPUs"),
    row(
        "requests-completed",
        "requests/s",
        RATE_SUM,
        Origin::Counter,
        REQUESTS_PER_SECOND,
        "requests finished (raw counter)",
    ),
    row("prompt-tokens", "tokens/s", RATE_SUM, Origin::Counter, TOKENS_PER_SECOND, "prompt tokens read (raw counter)"),
    row("output-tokens", "tokens/s", RATE_SUM, Origin::Counter, TOKENS_PER_SECOND, "tokens generated (raw counter)"),
    row(
        "engine-steps",
        "steps/s",
        RATE_SUM,
        Origin::Counter,
        TOKENS_PER_SECOND,
        "forward passes (raw counter); moves during a long prompt or answer, when nothing else does",
    ),
    row("preemptions", "1/s", RATE_SUM, Origin::Counter, REQUESTS_PER_SECOND, "sequences preempted (raw counter)"),
    row(
        "ttft",
        "seconds",
        (Within::Rate, Across::Percentile(95)),
        Origin::Histogram,
        REQUESTS_PER_SECOND,
        "time to the first token",
    ),
    row(
        "itl",
        "seconds",
        (Within::Rate, Across::Percentile(95)),
        Origin::Histogram,
        TOKENS_PER_SECOND,
        "time between two tokens",
    ),
    row(
        "queue-time",
        "seconds",
        (Within::Rate, Across::Percentile(95)),
        Origin::Histogram,
        REQUESTS_PER_SECOND,
        "time spent waiting",
    ),
    row(
        "e2e-latency",
        "seconds",
        (Within::Rate, Across::Percentile(95)),
        Origin::Histogram,
        REQUESTS_PER_SECOND,
        "time of a whole request",
    ),
    row(
        "request-rate",
        "requests/s",
        RATE_SUM,
        Origin::Arrivals,
        REQUESTS_PER_SECOND,
        "arrivals: completions plus the growth of running and waiting",
    ),
    row(
        "completion-rate",
        "requests/s",
        RATE_SUM,
        Origin::RateOf("requests-completed"),
        REQUESTS_PER_SECOND,
        "requests finished",
    ),
    row(
        "prompt-token-rate",
        "tokens/s",
        RATE_SUM,
        Origin::RateOf("prompt-tokens"),
        TOKENS_PER_SECOND,
        "prompt tokens read",
    ),
    row(
        "output-token-rate",
        "tokens/s",
        RATE_SUM,
        Origin::RateOf("output-tokens"),
        TOKENS_PER_SECOND,
        "tokens generated",
    ),
    row("preemption-rate", "1/s", RATE_SUM, Origin::RateOf("preemptions"), REQUESTS_PER_SECOND, "sequences preempted"),
    row(
        "service-rate",
        "requests/s of one replica",
        (Within::Max, Across::Max),
        Origin::Service,
        REQUESTS_PER_SECOND,
        "the most completions of one replica while its queue was not empty",
    ),
    row("ttft-p50", "seconds", LAST_WORST, Origin::PercentileOf("ttft", 50), SECONDS, "median time to the first token"),
    row(
        "ttft-p95",
        "seconds",
        LAST_WORST,
        Origin::PercentileOf("ttft", 95),
        SECONDS,
        "95th percentile of the time to the first token",
    ),
    row(
        "ttft-p99",
        "seconds",
        LAST_WORST,
        Origin::PercentileOf("ttft", 99),
        SECONDS,
        "99th percentile of the time to the first token",
    ),
    row("itl-p50", "seconds", LAST_WORST, Origin::PercentileOf("itl", 50), SECONDS, "median time between two tokens"),
    row(
        "itl-p95",
        "seconds",
        LAST_WORST,
        Origin::PercentileOf("itl", 95),
        SECONDS,
        "95th percentile of the time between two tokens",
    ),
    row(
        "itl-p99",
        "seconds",
        LAST_WORST,
        Origin::PercentileOf("itl", 99),
        SECONDS,
        "99th percentile of the time between two tokens",
    ),
];

/// The row of that name; none for a source's own signal.
#[must_use]
pub fn canonical(name: &str) -> Option<&'static Signal> {
    SIGNALS.iter().find(|s| s.name == name)
}

/// The raw signals that a canonical one is computed from, itself first where a source may also give it ready-made.
/// Empty for a name that is not in the table: such a signal is its own input (see [`inputs_of`]).
#[must_use]
pub fn raw_inputs(signal: &str) -> &'static [&'static str] {
    match signal {
        "queue-depth" => &["queue-depth"],
        "active-sequences" => &["active-sequences"],
        "kv-cache-usage" => &["kv-cache-usage"],
        "duty-cycle" => &["duty-cycle"],
        "gpu-memory-usage" => &["gpu-memory-usage"],
        "gpu-power" => &["gpu-power"],
        "requests-completed" => &["requests-completed"],
        "prompt-tokens" => &["prompt-tokens"],
        "output-tokens" => &["output-tokens"],
        "engine-steps" => &["engine-steps"],
        "preemptions" => &["preemptions"],
        "ttft" => &["ttft"],
        "itl" => &["itl"],
        "queue-time" => &["queue-time"],
        "e2e-latency" => &["e2e-latency"],
        "request-rate" => &["request-rate", "requests-completed", "queue-depth", "active-sequences"],
        "completion-rate" => &["completion-rate", "requests-completed"],
        "prompt-token-rate" => &["prompt-token-rate", "prompt-tokens"],
        "output-token-rate" => &["output-token-rate", "output-tokens"],
        "preemption-rate" => &["preemption-rate", "preemptions"],
        "service-rate" => &["service-rate", "requests-completed", "queue-depth"],
        "ttft-p50" => &["ttft-p50", "ttft"],
        "ttft-p95" => &["ttft-p95", "ttft"],
        "ttft-p99" => &["ttft-p99", "ttft"],
        "itl-p50" => &["itl-p50", "itl"],
        "itl-p95" => &["itl-p95", "itl"],
        "itl-p99" => &["itl-p99", "itl"],
        _ => &[],
    }
}

/// Every raw signal that may serve a need for `signal`: the table's, or the signal's own name.
#[must_use]
pub fn inputs_of(signal: &str) -> Vec<Arc<str>> {
    match raw_inputs(signal) {
        [] => vec![Arc::from(signal)],
        several => several.iter().map(|s| Arc::from(*s)).collect(),
    }
}

/// Whether the sources that emit `raw` signals can answer a need for `signal`: a ready-made one, or all parts.
#[must_use]
pub fn answerable(signal: &str, raw: &dyn Fn(&str) -> bool) -> bool {
    raw(signal)
        || match canonical(signal).map(|s| s.origin) {
            Some(Origin::RateOf(part) | Origin::PercentileOf(part, _)) => raw(part),
            Some(Origin::Arrivals) => ["requests-completed", "queue-depth", "active-sequences"].iter().all(|s| raw(s)),
            Some(Origin::Service) => ["requests-completed", "queue-depth"].iter().all(|s| raw(s)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_its_inputs() {
        for signal in SIGNALS {
            assert!(!raw_inputs(signal.name).is_empty(), "{}", signal.name);
            assert!(raw_inputs(signal.name).iter().all(|raw| canonical(raw).is_some()));
        }
    }

    #[test]
    fn names_are_unique() {
        for (i, signal) in SIGNALS.iter().enumerate() {
            assert!(SIGNALS[i + 1..].iter().all(|other| other.name != signal.name));
        }
    }

    #[test]
    fn percentiles_parse_from_one_to_ninety_nine() {
        assert_eq!(Across::parse("p95"), Some(Across::Percentile(95)));
        assert_eq!([Across::parse("p0"), Across::parse("p100"), Across::parse("p"), Across::parse("")], [None; 4]);
    }

    #[test]
    fn arrivals_need_all_three_parts_or_the_ready_made_rate() {
        assert!(answerable("request-rate", &|s| s == "request-rate"));
        assert!(!answerable("request-rate", &|s| s == "requests-completed"));
        assert!(answerable("request-rate", &|s| s != "request-rate"));
        assert!(answerable("my-queue", &|s| s == "my-queue"));
    }
}
