//! What is taken off a page before anything is combined: the series of the metrics looked for.
//!
//! For: one pass over the body, whatever the order of its lines. Names are taken as they are asked for, so the
//! `_created` series that Python's client adds are never seen. A label without a value is no label, as in Prometheus, and
//! of two lines of one series the first counts. Never holds more than [`MAX_SERIES`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use trimtab_control::time::Time;

use super::PageError;
use crate::exposition::{Declared, Format, Limits, Line, parse};

/// Most series (each bucket counts as one) that are taken off one page.
const MAX_SERIES: usize = 20_000;

/// What DCGM exports for a field that the GPU does not support (2^63 - 14), as a float.
const NOT_SUPPORTED: f64 = 9_223_372_036_854_775_808.0;

/// Labels of a series, sorted.
pub(super) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A number.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) value: f64,
    pub(super) at: Time,
}

/// One histogram, its buckets in the page's order.
#[derive(Debug)]
pub(super) struct Buckets {
    /// Upper bounds with cumulative counts; a bound that could not be read is NaN.
    counts: Vec<(f64, f64)>,
    pub(super) at: Time,
}

impl Buckets {
    /// Sorted by bound, each bound once; none where a bound could not be read.
    pub(super) fn ascending(&self) -> Option<Vec<(f64, f64)>> {
        let mut counts = self.counts.clone();
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        counts.dedup_by(|later, first| later.0 == first.0);
        (!counts.iter().any(|(bound, _)| bound.is_nan())).then_some(counts)
    }
}

/// One metric that was looked for.
#[derive(Debug, Default)]
pub(super) struct Metric<'a> {
    /// The declared type of its first sample of exactly that name; none: there is none.
    pub(super) scalar: Option<Declared>,
    /// The same of its first bucket.
    pub(super) bucket: Option<Declared>,
    /// By declaration a running total: a counter, or a count or sum of a histogram or summary.
    pub(super) total: bool,
    pub(super) scalars: BTreeMap<Pairs<'a>, Scalar>,
    pub(super) buckets: BTreeMap<Pairs<'a>, Buckets>,
}

/// The metrics that were found.
pub(super) struct Taken<'n, 'a> {
    metrics: BTreeMap<&'n str, Metric<'a>>,
    /// Series so far.
    series: usize,
}

/// Which metrics samples of one name belong to.
#[derive(Default)]
struct Want<'n> {
    scalar_of: Option<&'n str>,
    bucket_of: Option<&'n str>,
}

impl<'n, 'a> Taken<'n, 'a> {
    pub(super) fn from_page(
        body: &'a [u8],
        content_type: Option<&str>,
        names: impl Iterator<Item = &'n str>,
        at: Time,
    ) -> Result<Self, PageError> {
        let mut wants: HashMap<Cow<'n, str>, Want<'n>> = HashMap::new();
        for name in names {
            wants.entry(Cow::Borrowed(name)).or_default().scalar_of = Some(name);
            wants.entry(Cow::Owned(format!("{name}_bucket"))).or_default().bucket_of = Some(name);
        }
        let mut taken = Taken { metrics: BTreeMap::new(), series: 0 };
        let format = Format::of_content_type(content_type)?;
        parse(body, format, &Limits::default(), &|name| wants.contains_key(name), &mut |line| {
            if let Some(want) = wants.get(&*line.name)
                && taken.series <= MAX_SERIES
            {
                taken.add(want, &line, at);
            }
        })?;
        if taken.series > MAX_SERIES {
            return Err(PageError::TooManySeries { limit: MAX_SERIES });
        }
        Ok(taken)
    }

    /// The metric of that name, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&Metric<'a>> {
        self.metrics.get(name)
    }

    /// Whether a sample of that metric is there, readable or not.
    pub(super) fn stands(&self, name: &str) -> bool {
        self.metrics.contains_key(name)
    }

    fn add(&mut self, want: &Want<'n>, line: &Line<'a>, at: Time) {
        self.series += 1;
        // A page that dates its samples (a federation, a push gateway) may repeat old ones; one from the future is of now.
        let at = line.timestamp.map_or(at, |ms| at.min(Time(u64::try_from(ms).unwrap_or(0))));
        let mut pairs: Pairs<'a> = line.labels.iter().filter(|(_, value)| !value.is_empty()).collect();
        pairs.sort();
        if let Some(name) = want.bucket_of {
            let metric = self.metrics.entry(name).or_default();
            metric.bucket.get_or_insert(line.declared);
            let mut others = pairs.clone();
            let bound = others.iter().position(|(name, _)| name == "le").map(|index| others.remove(index).1);
            let bound = bound.and_then(|le| le.parse().ok()).unwrap_or(f64::NAN);
            let buckets = metric.buckets.entry(others).or_insert_with(|| Buckets { counts: Vec::new(), at });
            buckets.counts.push((bound, line.value));
            buckets.at = buckets.at.min(at);
        }
        if let Some(name) = want.scalar_of {
            let metric = self.metrics.entry(name).or_default();
            if metric.scalar.is_none() {
                metric.scalar = Some(line.declared);
                metric.total = is_total(line);
            }
            if line.value != NOT_SUPPORTED {
                metric.scalars.entry(pairs).or_insert(Scalar { value: line.value, at });
            }
        }
    }
}

/// A counter, or what counts the observations of a histogram or summary.
fn is_total(line: &Line<'_>) -> bool {
    let part = || ["_bucket", "_count", "_sum"].iter().any(|suffix| line.name.ends_with(suffix));
    match line.declared {
        Declared::Counter => true,
        Declared::Histogram | Declared::Summary => part(),
        _ => false,
    }
}
