//! Windows: samples of replicas become series on a regular grid, with age, coverage and quality.
//!
//! For: everything that a policy or a guardrail knows about load. A value that is not good (NaN, infinite, negative,
//! beyond what any engine can do) is not stored, so it ages into "missing" and is never zero. Counters become rates with
//! reset detection per replica before anything is summed; percentiles are merged from buckets, never averaged. Never
//! proposes a number of replicas.

mod grid;
mod ledger;
mod members;
mod merge;
mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decision::{Input, InputKind};
use crate::policy::{MetricNeed, Series};
use crate::sample::{Labels, Origin, PoolReport, Reading, Sample};
use crate::signals;
use crate::time::{Span, Time};

use ledger::Ledger;
pub(crate) use members::Members;
use track::{Arrival, Track};

/// Most tracks (signal, replica, labels) of one workload; further ones are dropped and counted.
const MAX_TRACKS: usize = 16_384;
/// Most series of one observation.
pub const MAX_SERIES: usize = 256;
/// Most values of one observation.
pub const MAX_VALUES: usize = 131_072;
/// Most steps of one series.
pub const MAX_STEPS: u64 = 1_440;
/// The longest window.
pub const MAX_WINDOW: Span = Span(24 * 3_600_000);

/// Ages at which data stops counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Between two decisions.
    pub(crate) interval: Span,
    /// A replica's newest good sample counts for so long.
    pub(crate) stale_after: Span,
    /// A replica without a good sample for so long leaves the count.
    pub(crate) silent_after: Span,
}

/// One series with what the guardrails need to know about it.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    /// What the policy sees.
    pub(crate) series: Series,
    /// What the decision records.
    pub(crate) input: Input,
}

/// All samples of one raw signal.
#[derive(Debug, Default)]
struct Tracks {
    /// Sorted by origin, then labels.
    list: Vec<Track>,
}

impl Tracks {
    fn find(&self, origin: &Origin, labels: &Labels) -> Result<usize, usize> {
        self.list.binary_search_by(|t| t.origin.cmp(origin).then_with(|| t.labels.cmp(labels)))
    }

    /// The tracks of one origin, which lie side by side.
    fn of<'a>(&'a self, origin: &Origin) -> &'a [Track] {
        let start = self.list.partition_point(|t| t.origin < *origin);
        let end = start + self.list[start..].partition_point(|t| t.origin == *origin);
        &self.list[start..end]
    }
}

/// Every window of one workload.
#[derive(Debug)]
pub(crate) struct Windows {
    signals: BTreeMap<Arc<str>, Tracks>,
    members: Members,
    ledger: Ledger,
    /// Signals that ever had a good value, kept over restarts: an optional series counts once it was seen.
    seen: BTreeSet<String>,
    own: BTreeMap<String, (signals::Within, signals::Across)>,
    retention: Span,
    tracks: usize,
    dropped: u64,
}

impl Windows {
    pub(crate) fn new(seen: BTreeSet<String>) -> Self {
        Windows {
            signals: BTreeMap::new(),
            members: Members::default(),
            ledger: Ledger::default(),
            seen,
            own: BTreeMap::new(),
            retention: Span(300_000),
            tracks: 0,
            dropped: 0,
        }
    }

    /// Defaults of a source's own signal, as its manifest gives them.
    pub(crate) fn set_own(&mut self, signal: &str, within: signals::Within, across: signals::Across) {
        self.own.insert(signal.to_owned(), (within, across));
    }

    /// Keeps what the longest window of `needs` asks for, and enough for the rules.
    pub(crate) fn set_needs(&mut self, needs: &[MetricNeed], limits: Limits) {
        let longest = needs.iter().map(|n| n.window.0.saturating_add(n.step.0)).max().unwrap_or(0);
        let rules = limits.stale_after.0.saturating_add(limits.interval.0.saturating_mul(2));
        self.retention = Span(longest.min(MAX_WINDOW.0).saturating_add(rules).max(300_000));
    }

    /// Who is there, as the targets report it.
    pub(crate) fn meet(&mut self, report: &PoolReport, now: Time) {
        self.members.meet(report, now);
    }

    /// Pools that the configuration no longer names leave.
    pub(crate) fn keep_pools(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.members.keep_pools(keep);
        for tracks in self.signals.values_mut() {
            tracks.list.retain(|t| t.pool().is_none_or(keep));
        }
        self.tracks = self.signals.values().map(|t| t.list.len()).sum();
    }

    /// Takes readings in. Those of the same instant as, or older than, what is there are ignored.
    pub(crate) fn take(&mut self, samples: Vec<Sample>, limits: Limits, now: Time) {
        let mut touched: BTreeSet<Origin> = BTreeSet::new();
        for sample in samples {
            if let Origin::Replica { .. } = sample.origin
                && !touched.contains(&sample.origin)
            {
                touched.insert(sample.origin.clone());
            }
            self.take_one(sample, now);
        }
        for origin in touched {
            self.settle(&origin, limits, now);
        }
    }

    fn take_one(&mut self, sample: Sample, now: Time) {
        let at = sample.at.min(now);
        if !self.signals.contains_key(&*sample.signal) {
            if self.tracks >= MAX_TRACKS {
                self.dropped += 1;
                return;
            }
            self.signals.insert(Arc::clone(&sample.signal), Tracks::default());
        }
        let row = signals::canonical(&sample.signal);
        let Some(tracks) = self.signals.get_mut(&*sample.signal) else { return };
        let index = match tracks.find(&sample.origin, &sample.labels) {
            Ok(index) => index,
            Err(index) => {
                if self.tracks >= MAX_TRACKS {
                    self.dropped += 1;
                    return;
                }
                // A label set that joins others of its replica counted from zero since their last scrape.
                let joins = tracks.of(&sample.origin).iter().filter_map(Track::newest_at).filter(|t| *t < at).max();
                let ceiling = row.map_or(f64::INFINITY, |s| s.ceiling);
                let mut track = Track::new(sample.origin.clone(), sample.labels, ceiling);
                if let Some(before) = joins {
                    track.start_from_zero(before, &sample.reading);
                }
                tracks.list.insert(index, track);
                self.tracks += 1;
                index
            }
        };
        let arrival = if row.is_none_or(|row| fits(row.origin, &sample.reading)) {
            tracks.list[index].push(at, &sample.reading, self.retention)
        } else {
            tracks.list[index].refuse(at)
        };
        if arrival != Arrival::Refused && arrival != Arrival::Old && !self.seen.contains(&*sample.signal) {
            self.seen.insert(sample.signal.to_string());
        }
        if let Origin::Replica { pool, replica } = &sample.origin {
            let counts = !matches!(sample.reading, Reading::Gauge(_));
            self.members.heard(pool, replica, at, arrival, counts);
        }
    }

    /// After a replica's page was taken in: what is derived from several of its signals.
    fn settle(&mut self, origin: &Origin, limits: Limits, now: Time) {
        let Origin::Replica { pool, replica } = origin else { return };
        let newest = |signal: &str| -> Option<(Time, f64)> {
            let tracks = self.signals.get(signal)?.of(origin);
            let at = tracks.iter().filter_map(Track::newest_at).max()?;
            (now.since(at) <= limits.stale_after).then(|| (at, tracks.iter().filter_map(Track::newest_value).sum()))
        };
        let (waiting, running) = (newest("queue-depth"), newest("active-sequences"));
        let work = waiting.map_or(0.0, |w| w.1) + running.map_or(0.0, |r| r.1);
        self.members.works(pool, replica, work, now);
        if let Some((at, completed)) = newest("requests-completed") {
            let reset =
                self.signals.get("requests-completed").is_some_and(|t| t.of(origin).iter().any(Track::just_reset));
            self.ledger.note(origin, at, completed, waiting.map(|w| w.1), running.map(|r| r.1), reset, self.retention);
        }
    }

    /// Replicas that have given no good sample for `silent_after`, per pool. None while no replica ever answered.
    pub(crate) fn silent(&self, pool: &str, limits: Limits, now: Time) -> Vec<Arc<str>> {
        self.members.silent(pool, limits, now)
    }

    /// Replicas that serve and still count.
    pub(crate) fn silent_total(&self, limits: Limits, now: Time) -> usize {
        self.members.pools().map(|pool| self.members.silent(pool, limits, now).len()).sum()
    }

    /// Samples that were dropped because the workload has too many tracks.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Signals that ever had a good value.
    pub(crate) fn seen(&self) -> &BTreeSet<String> {
        &self.seen
    }

    /// Forgets what no window reaches any more.
    pub(crate) fn forget(&mut self, limits: Limits, now: Time) {
        let keep = now - Span(self.retention.0.max(limits.silent_after.0));
        self.members.forget(keep);
        self.ledger.forget(now);
        let (members, mut left) = (&self.members, 0);
        for tracks in self.signals.values_mut() {
            tracks.list.retain(|t| t.newest_at().is_none_or(|at| at >= keep) || members.serves(&t.origin));
            left += tracks.list.len();
        }
        self.tracks = left;
        self.signals.retain(|_, tracks| !tracks.list.is_empty());
    }

    /// Every series of every need, in the order of the needs, within the caps of the contract.
    pub(crate) fn answer(
        &self,
        needs: &[MetricNeed],
        min_coverage: f64,
        limits: Limits,
        now: Time,
    ) -> Vec<Vec<Answered>> {
        let mut room = MAX_SERIES;
        let plans: Vec<grid::Plan<'_>> = needs
            .iter()
            .map(|need| {
                let mut plan = self.plan(need, limits);
                plan.groups.truncate(room);
                room -= plan.groups.len();
                plan
            })
            .collect();
        let total: usize = plans.iter().map(|p| p.groups.len()).sum();
        let steps = (MAX_VALUES / total.max(1)).max(1) as u64;
        plans.into_iter().map(|plan| Self::fill(plan, steps.min(MAX_STEPS), min_coverage, limits, now)).collect()
    }

    /// The newest value over the whole workload, where it is fresh: for wake rules.
    pub(crate) fn fresh_value(&self, signal: &str, limits: Limits, now: Time) -> Option<f64> {
        let need = MetricNeed {
            signal: signal.to_owned(),
            by: Vec::new(),
            within: String::new(),
            across: String::new(),
            step: Span(0),
            window: Span(0),
            required: false,
        };
        let answered = self.answer(&[need], 0.0, limits, now).pop()?.pop()?;
        matches!(answered.input.kind, InputKind::Fresh | InputKind::Reset | InputKind::Partial)
            .then_some(answered.input.value)
            .flatten()
    }

    /// True when nothing runs or queues in a pool, known from every replica that serves there and from every page that
    /// speaks for the whole workload. Missing is not idle.
    pub(crate) fn idle(&self, pool: &str, limits: Limits, now: Time) -> bool {
        ["queue-depth", "active-sequences"].iter().all(|signal| {
            let Some(tracks) = self.signals.get(*signal) else { return false };
            let zero = |t: &Track| {
                t.newest_at().is_some_and(|at| now.since(at) <= limits.stale_after) && t.newest_value() == Some(0.0)
            };
            let pages = tracks.of(&Origin::Query);
            let mut spoke = !pages.is_empty();
            for replica in self.members.serving(pool) {
                let own = tracks.of(&Origin::Replica { pool: Arc::from(pool), replica: Arc::clone(replica) });
                if (own.is_empty() && pages.is_empty()) || !own.iter().all(zero) {
                    return false;
                }
                spoke = true;
            }
            spoke && pages.iter().all(zero)
        })
    }
}

/// Whether a canonical signal is ever read like this. What is derived here a source may give as a level.
fn fits(origin: signals::Origin, reading: &Reading) -> bool {
    match origin {
        signals::Origin::Counter => matches!(reading, Reading::Counter(_)),
        signals::Origin::Histogram => matches!(reading, Reading::Histogram(_)),
        _ => matches!(reading, Reading::Gauge(_)),
    }
}

#[cfg(test)]
mod tests;
