//! The series of one family, by the values of their labels.
//!
//! For: finding one without allocating, dropping those of something that ended, and a bound on how many there are. In
//! sorted order, so that two pages differ only where numbers do. Never holds a label value longer than it says.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::{MetricType, TypedMetric};
use trimtab_sandbox::clean;

/// Series of one family.
const MOST_SERIES: usize = 10_000;

/// Bytes of one label value: a digest of 71, names of namespaces, workloads and signals with room to spare.
const MOST_BYTES: usize = 256;

/// The label values of one series, in the family's order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Values<const N: usize>([Box<str>; N]);

impl<const N: usize> Values<N> {
    fn of(values: [&str; N]) -> Values<N> {
        Values(values.map(|value| clean(value, MOST_BYTES).into_boxed_str()))
    }

    fn compare(&self, other: &[&str; N]) -> std::cmp::Ordering {
        self.0.iter().map(AsRef::as_ref).cmp(other.iter().copied())
    }
}

/// One family. Clones are the same family.
pub(super) struct Series<M, const N: usize> {
    names: [&'static str; N],
    new: fn() -> M,
    /// Sorted by the values.
    known: Arc<RwLock<Vec<(Values<N>, M)>>>,
    dropped: Counter,
    most: usize,
}

impl<M, const N: usize> Clone for Series<M, N> {
    fn clone(&self) -> Self {
        let (names, new, most) = (self.names, self.new, self.most);
        Series { names, new, known: Arc::clone(&self.known), dropped: self.dropped.clone(), most }
    }
}

impl<M, const N: usize> fmt::Debug for Series<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("names", &self.names).finish_non_exhaustive()
    }
}

impl<M, const N: usize> Series<M, N> {
    /// An empty family: the names of its labels, what a new series is, and who counts what it has no room for.
    pub(super) fn new(names: [&'static str; N], new: fn() -> M, dropped: &Counter) -> Series<M, N> {
        Series { names, new, known: Arc::default(), dropped: dropped.clone(), most: MOST_SERIES }
    }

    #[cfg(test)]
    pub(super) fn with_room(mut self, most: usize) -> Series<M, N> {
        self.most = most;
        self
    }

    /// Does something to one series, which is made where it is new. Values are cleaned and cut.
    pub(super) fn with<T>(&self, values: [&str; N], act: impl FnOnce(&M) -> T) {
        {
            // A panic cannot leave the list half changed; go on with it.
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Ok(at) = known.binary_search_by(|(labels, _)| labels.compare(&values)) {
                act(&known[at].1);
                return;
            }
        }
        let values = Values::of(values);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let at = known.binary_search_by(|(labels, _)| labels.0.cmp(&values.0));
        if at.is_err() && known.len() >= self.most {
            self.dropped.inc();
            return;
        }
        let at = at.unwrap_or_else(|at| {
            known.insert(at, (values, (self.new)()));
            at
        });
        act(&known[at].1);
    }

    /// Drops the series whose first values are these.
    pub(super) fn remove(&self, first: &[&str]) {
        self.remove_but(first, |_| false);
    }

    /// Drops the series whose first values are these, but for those that stay.
    pub(super) fn remove_but(&self, first: &[&str], stays: impl Fn(&[Box<str>; N]) -> bool) {
        let first: Vec<String> = first.iter().map(|value| clean(value, MOST_BYTES)).collect();
        let same = |values: &Values<N>| values.0.iter().zip(&first).all(|(own, other)| **own == **other);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(values, _)| !same(values) || stays(&values.0));
    }
}

impl<M, const N: usize> EncodeMetric for Series<M, N>
where
    M: EncodeMetric + TypedMetric,
{
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for (values, metric) in known.iter() {
            let labels: Vec<(&str, &str)> =
                self.names.iter().copied().zip(values.0.iter().map(AsRef::as_ref)).collect();
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
