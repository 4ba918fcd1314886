//! What the `# TYPE` lines of a page declare.
//!
//! For: the type of a sample, from its family and never from its name alone: `vllm:iteration_tokens_total` is a
//! histogram. Never refuses a second declaration: the newest counts for the samples after it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Format;

/// The type that a page declares a family to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// Nothing was said, or that it is not known.
    Untyped,
    /// A level.
    Gauge,
    /// A running total.
    Counter,
    /// Cumulative buckets.
    Histogram,
    /// Buckets that go up and down.
    GaugeHistogram,
    /// Quantiles that the server computed.
    Summary,
    /// Labels with the number 1.
    Info,
    /// One series for each state a thing may be in.
    StateSet,
}

impl Declared {
    /// By its name in that format.
    pub(super) fn parse(name: &str, format: Format) -> Option<Declared> {
        Some(match (name, format) {
            ("gauge", _) => Declared::Gauge,
            ("counter", _) => Declared::Counter,
            ("histogram", _) => Declared::Histogram,
            ("summary", _) => Declared::Summary,
            ("untyped", Format::Text) | ("unknown", Format::OpenMetrics) => Declared::Untyped,
            ("gaugehistogram", Format::OpenMetrics) => Declared::GaugeHistogram,
            ("info", Format::OpenMetrics) => Declared::Info,
            ("stateset", Format::OpenMetrics) => Declared::StateSet,
            _ => return None,
        })
    }
}

/// What a sample's name may end in beyond the family's name, and in families of which types.
const SUFFIXES: &[(&str, &[Declared])] = &[
    ("_bucket", &[Declared::Histogram, Declared::GaugeHistogram]),
    ("_count", &[Declared::Histogram, Declared::Summary]),
    ("_sum", &[Declared::Histogram, Declared::Summary]),
    ("_gcount", &[Declared::GaugeHistogram]),
    ("_gsum", &[Declared::GaugeHistogram]),
    ("_total", &[Declared::Counter]),
    ("_info", &[Declared::Info]),
];

/// Every declaration so far.
#[derive(Debug, Default)]
pub(super) struct Families<'a> {
    by_name: HashMap<Cow<'a, str>, Declared>,
    lines: usize,
}

impl<'a> Families<'a> {
    /// False: there are too many.
    pub(super) fn declare(&mut self, family: Cow<'a, str>, declared: Declared, most: usize) -> bool {
        self.lines += 1;
        self.by_name.insert(family, declared);
        self.lines <= most
    }

    /// The type of a sample of that name.
    pub(super) fn of(&self, sample: &str) -> Declared {
        if let Some(declared) = self.by_name.get(sample) {
            return *declared;
        }
        SUFFIXES
            .iter()
            .find_map(|(suffix, owners)| {
                let declared = self.by_name.get(sample.strip_suffix(suffix)?)?;
                owners.contains(declared).then_some(*declared)
            })
            .unwrap_or(Declared::Untyped)
    }
}
