//! A page of metrics becomes samples: by an engine's preset, or by the names a manifest gives.
//!
//! For: pure functions from a body to samples, bounded whatever the page holds. Never judges a number: NaN, infinite and
//! negative ones are passed on, for the control core to refuse where it can be seen; only the sentinel that stands for
//! "not supported" is no reading at all.

mod combine;
mod taken;

use std::collections::BTreeMap;
use std::sync::Arc;

use trimtab_control::sample::{Histogram, Labels, Origin, Reading, Sample};
use trimtab_control::time::Time;
use trimtab_sandbox::clean;

use super::{Across, EngineSpec, ExpositionSpec, SignalSpec, Within};
use crate::exposition::{Declared, ExpositionError};
use crate::presets::{Combine, Kind, Row};
use combine::{combined, merged};
use taken::{Buckets, Metric, Pairs, Scalar, Taken};

/// Most samples that one page may give.
pub const MAX_SAMPLES: usize = 1_000;
/// Most labels of such a sample.
const MAX_LABELS: usize = 32;
/// Most bytes of a label's name or value, escapes included.
const MAX_LABEL_BYTES: usize = 256;

/// Why a page gives no samples. Text of the page in it is escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// It cannot be read.
    #[error(transparent)]
    Exposition(#[from] ExpositionError),
    /// Nothing that was looked for is there, or not in a form that can be read.
    #[error("{0}")]
    NoMetrics(String),
    /// More series of the metrics looked for than are ever merged.
    #[error("the page has more than {limit} series of the metrics looked for; choose fewer with `match`")]
    TooManySeries {
        /// The most.
        limit: usize,
    },
    /// See [`MAX_SAMPLES`].
    #[error(
        "{signal} would be more than {MAX_SAMPLES} samples; choose fewer with `match`, or make them one with `across`"
    )]
    TooManySamples {
        /// What the page has too many of.
        signal: String,
    },
    /// A sample whose labels are too many or too long to be kept.
    #[error(
        "a series of {signal} has more than {MAX_LABELS} labels, or one of more than {MAX_LABEL_BYTES} bytes ({label})"
    )]
    Labels {
        /// What the series was to become.
        signal: String,
        /// The first label that is too much.
        label: String,
    },
}

impl PageError {
    /// A code of [`super::ReadError`].
    pub fn code(&self) -> &'static str {
        match self {
            PageError::Exposition(error) => error.code(),
            PageError::NoMetrics(_) => "no-metrics",
            PageError::TooManySeries { .. } | PageError::TooManySamples { .. } | PageError::Labels { .. } => {
                "too-large"
            }
        }
    }
}

/// What an engine's page says of one replica. `at` is when it answered; a page that dates its samples earlier is
/// believed.
pub fn engine_samples(
    body: &[u8],
    content_type: Option<&str>,
    spec: &EngineSpec,
    pool: &Arc<str>,
    replica: &Arc<str>,
    at: Time,
) -> Result<Vec<Sample>, PageError> {
    let names = || spec.preset.rows.iter().flat_map(|row| row.metrics.iter().copied());
    let page = Taken::from_page(body, content_type, names(), at)?;
    let origin = Origin::Replica { pool: Arc::clone(pool), replica: Arc::clone(replica) };
    let mut samples = Samples { origin, list: Vec::new() };
    for row in spec.preset.rows {
        let Some(metric) = row.metrics.iter().filter_map(|name| page.get(name)).find(|m| stands_as(m, row.kind)) else {
            continue;
        };
        let mut groups: BTreeMap<Option<&str>, Group<'_>> = BTreeMap::new();
        let model = |pairs| spec.preset.model_label.and_then(|label| get(pairs, label));
        for (pairs, scalar) in metric.scalars.iter().filter(|(pairs, _)| carries(pairs, &spec.labels)) {
            groups.entry(model(pairs)).or_default().scalars.push(scalar);
        }
        for (pairs, buckets) in metric.buckets.iter().filter(|(pairs, _)| carries(pairs, &spec.labels)) {
            groups.entry(model(pairs)).or_default().buckets.push(buckets);
        }
        for (model, group) in groups {
            if let Some((reading, at)) = group.reading(row) {
                samples.push(row.signal, model.map(|m| ("model", m)).into_iter(), reading, at)?;
            }
        }
    }
    if samples.list.is_empty() {
        let wanted = [&spec.labels];
        return Err(nothing(&page, &format!("a page of {}", spec.preset.name), names(), wanted.into_iter()));
    }
    Ok(samples.list)
}

/// What one page says of the whole workload. `at` is when it answered; a page that dates its samples earlier is believed.
///
/// Levels become one where `across` says how. Running totals and histograms stay apart, each with its labels, whatever
/// `across` says: their growth has to be taken before they are added, or a series that leaves the page would look like a
/// restart of all of them. The control core merges their growth by the same `across`.
pub fn page_samples(
    body: &[u8],
    content_type: Option<&str>,
    spec: &ExpositionSpec,
    at: Time,
) -> Result<Vec<Sample>, PageError> {
    let names = || spec.signals.iter().map(|signal| signal.metric.as_str());
    let page = Taken::from_page(body, content_type, names(), at)?;
    let mut samples = Samples { origin: Origin::Query, list: Vec::new() };
    for signal in &spec.signals {
        if let Some(metric) = page.get(&signal.metric) {
            samples.take_signal(signal, metric)?;
        }
    }
    if samples.list.is_empty() {
        return Err(nothing(&page, "the right page", names(), spec.signals.iter().map(|s| &s.labels)));
    }
    Ok(samples.list)
}

/// Series of one row and one model.
#[derive(Default)]
struct Group<'p> {
    scalars: Vec<&'p Scalar>,
    buckets: Vec<&'p Buckets>,
}

impl Group<'_> {
    fn reading(&self, row: &Row) -> Option<(Reading, Time)> {
        if row.kind == Kind::Histogram {
            let mut buckets = merged(&self.buckets)?;
            for (bound, _) in &mut buckets {
                *bound *= row.scale;
            }
            let at = self.buckets.iter().map(|b| b.at).min()?;
            return Some((Reading::Histogram(Arc::new(Histogram { buckets })), at));
        }
        let how = match row.combine {
            Combine::Sum => Across::Sum,
            Combine::Mean => Across::Mean,
            Combine::Max => Across::Max,
        };
        let value = combined(how, self.scalars.iter().map(|s| s.value))? * row.scale;
        let at = self.scalars.iter().map(|s| s.at).min()?;
        Some((if row.kind == Kind::Counter { Reading::Counter(value) } else { Reading::Gauge(value) }, at))
    }
}

/// Whether the page has the metric, declared as that kind or not at all.
fn stands_as(metric: &Metric<'_>, kind: Kind) -> bool {
    let (found, as_kind) = match kind {
        Kind::Gauge => (metric.scalar, Declared::Gauge),
        Kind::Counter => (metric.scalar, Declared::Counter),
        Kind::Histogram => (metric.bucket, Declared::Histogram),
    };
    found.is_some_and(|declared| declared == as_kind || declared == Declared::Untyped)
}

fn get<'p>(pairs: &'p Pairs<'_>, name: &str) -> Option<&'p str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
}

/// A label that is not there is an empty one, as in Prometheus.
fn carries(pairs: &Pairs<'_>, wanted: &Labels) -> bool {
    wanted.iter().all(|(name, value)| get(pairs, name).unwrap_or_default() == value)
}

/// Samples so far, within the bounds.
struct Samples {
    origin: Origin,
    list: Vec<Sample>,
}

impl Samples {
    fn take_signal(&mut self, signal: &SignalSpec, metric: &Metric<'_>) -> Result<(), PageError> {
        if stands_as(metric, Kind::Histogram) && metric.scalar.is_none() {
            for (pairs, buckets) in metric.buckets.iter().filter(|(pairs, _)| carries(pairs, &signal.labels)) {
                if let Some(merged) = merged(&[buckets]) {
                    let reading = Reading::Histogram(Arc::new(Histogram { buckets: merged }));
                    self.push(&signal.name, borrowed(pairs), reading, buckets.at)?;
                }
            }
            return Ok(());
        }
        let matching = || metric.scalars.iter().filter(|(pairs, _)| carries(pairs, &signal.labels));
        let total = signal.within.map_or(metric.total, |within| within == Within::Rate);
        if let (Some(across), false) = (signal.across, total) {
            let value = combined(across, matching().map(|(_, scalar)| scalar.value));
            let at = matching().map(|(_, scalar)| scalar.at).min();
            return match value.zip(at) {
                Some((value, at)) => self.push(&signal.name, std::iter::empty(), Reading::Gauge(value), at),
                None => Ok(()),
            };
        }
        for (pairs, scalar) in matching() {
            let reading = if total { Reading::Counter(scalar.value) } else { Reading::Gauge(scalar.value) };
            self.push(&signal.name, borrowed(pairs), reading, scalar.at)?;
        }
        Ok(())
    }

    fn push<'p>(
        &mut self,
        signal: &str,
        labels: impl Iterator<Item = (&'p str, &'p str)>,
        reading: Reading,
        at: Time,
    ) -> Result<(), PageError> {
        if self.list.len() >= MAX_SAMPLES {
            return Err(PageError::TooManySamples { signal: clean(signal, MAX_LABEL_BYTES) });
        }
        let mut kept = Labels::new();
        for (name, value) in labels {
            // Four times the bound holds every text whose escapes fit.
            let pair = (clean(name, 4 * MAX_LABEL_BYTES), clean(value, 4 * MAX_LABEL_BYTES));
            if kept.len() >= MAX_LABELS || pair.0.len() > MAX_LABEL_BYTES || pair.1.len() > MAX_LABEL_BYTES {
                return Err(PageError::Labels { signal: clean(signal, MAX_LABEL_BYTES), label: clean(name, 64) });
            }
            kept.push(pair);
        }
        kept.sort();
        self.list.push(Sample { origin: self.origin.clone(), signal: Arc::from(signal), labels: kept, at, reading });
        Ok(())
    }
}

fn borrowed<'p>(pairs: &'p Pairs<'_>) -> impl Iterator<Item = (&'p str, &'p str)> {
    pairs.iter().map(|(name, value)| (&**name, &**value))
}

/// Why there are no samples, and what to do.
fn nothing<'n>(
    page: &Taken<'_, '_>,
    right: &str,
    names: impl Iterator<Item = &'n str>,
    labels: impl Iterator<Item = &'n Labels>,
) -> PageError {
    let names: Vec<&str> = names.collect();
    let there: Vec<&str> = names.iter().copied().filter(|name| page.stands(name)).collect();
    let Some(first) = there.first().map(|name| clean(name, MAX_LABEL_BYTES)) else {
        return PageError::NoMetrics(format!("none of {} is on the page; is it {right}?", listed(&names)));
    };
    let labels: Vec<&Labels> = labels.collect();
    let any = there.iter().filter_map(|name| page.get(name)).any(|metric| {
        let mut series = metric.scalars.keys().chain(metric.buckets.keys());
        series.any(|pairs| labels.iter().any(|wanted| carries(pairs, wanted)))
    });
    PageError::NoMetrics(match labels.iter().find(|wanted| !wanted.is_empty()) {
        Some(wanted) if !any => {
            let wanted: Vec<String> = wanted.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            let wanted = clean(&wanted.join(", "), MAX_LABEL_BYTES);
            format!("the page has {first}, but no series with the labels of `match` ({wanted})")
        }
        _ => format!("the page has {first}, but of another type or without a usable value"),
    })
}

/// At most three names, and how many more there are.
fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(3).map(|name| clean(name, MAX_LABEL_BYTES)).collect();
    match names.len().saturating_sub(3) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
