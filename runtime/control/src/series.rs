//! Windows: samples of replicas become series on a regular grid, with age, coverage and quality.
//!
//! For: everything that a policy or a guardrail knows about load. A value that is not good (NaN, infinite, negative,
//! beyond what any engine can do) is not stored, so it ages into "missing" and is never zero. Counters become rates with
//! reset detection per replica before anything is summed; percentiles are merged from buckets, never averaged. Never
//! proposes a number of replicas.

mod forget;
mod grid;
mod ledger;
mod members;
mod merge;
mod packed;
mod pages;
mod rules;
mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decision::Input;
use crate::policy::{MetricNeed, Series};
use crate::sample::{Labels, Origin, PoolReport, Reading, Sample};
use crate::signals;
use crate::time::{Span, Time};

use ledger::{Ledger, Page};
use members::Heard;
pub(crate) use members::Members;
use track::{Arrival, Keep, MAX_POINTS, Track};

/// Most tracks (signal, replica, labels) of one workload; further ones are dropped and counted.
const MAX_TRACKS: usize = 16_384;
/// Most tracks of one signal of one replica (or page), so that one whose labels never end cannot crowd out the others.
const MAX_TRACKS_EACH: usize = 512;
/// Points of 24 bytes that all tracks of one workload share: about 24 MiB at most. A running histogram's point weighs
/// [`HISTOGRAM_WEIGHS`] of them.
const MAX_KEPT: usize = 1 << 20;
const HISTOGRAM_WEIGHS: usize = 16;
/// However many tracks there are, each keeps so many points.
const FEWEST_POINTS: usize = 32;
/// Levels and totals are kept for at least so long, so that a module that is swapped in finds a past.
const BASE_RETENTION: Span = Span(300_000);
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
    /// Replicas that should have answered and did not.
    pub(crate) late: Vec<String>,
    /// Replicas whose counters stand still while they work, with for how long.
    pub(crate) frozen: Vec<(String, Span)>,
    /// Replicas whose newest reading was no number, or an impossible one.
    pub(crate) garbled: Vec<String>,
    /// They are not some of many: a page for the whole workload is among them, or they are all replicas.
    pub(crate) gap: bool,
    /// The need found more series than an observation holds: this is not all of it.
    pub(crate) cut: bool,
}

/// All samples of one raw signal.
#[derive(Debug, Serialize, Deserialize)]
struct Tracks {
    /// Of the table; none for a source's own signal.
    #[serde(skip)]
    row: Option<&'static signals::Signal>,
    /// Sorted by origin, then labels.
    list: Vec<Track>,
    /// Where the next reading belongs if replicas come in their order, as they mostly do.
    #[serde(skip)]
    hint: usize,
    /// How far back it is asked for.
    #[serde(skip)]
    reach: Span,
    /// It is among those that ever had a good value, and among those that replicas gave: known to be, where true.
    #[serde(skip)]
    known: (bool, bool),
}

impl Tracks {
    fn new(signal: &str, reach: Span) -> Self {
        Tracks { row: signals::canonical(signal), list: Vec::new(), hint: 0, reach, known: (false, false) }
    }

    fn find(&self, origin: &Origin, labels: &Labels) -> Result<usize, usize> {
        let is = |index: usize| self.list.get(index).is_some_and(|t| t.origin == *origin && t.labels == *labels);
        if let Some(index) = [self.hint, 0].into_iter().find(|index| is(*index)) {
            return Ok(index);
        }
        self.list.binary_search_by(|t| t.origin.cmp(origin).then_with(|| t.labels.cmp(labels)))
    }

    /// The tracks of one origin, which lie side by side.
    fn of<'a>(&'a self, origin: &Origin) -> &'a [Track] {
        &self.list[self.range(origin)]
    }

    fn of_mut<'a>(&'a mut self, origin: &Origin) -> &'a mut [Track] {
        let range = self.range(origin);
        &mut self.list[range]
    }

    fn range(&self, origin: &Origin) -> Range<usize> {
        let start = self.list.partition_point(|t| t.origin < *origin);
        start..start + self.list[start..].partition_point(|t| t.origin == *origin)
    }
}

/// Every window of one workload.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Windows {
    signals: BTreeMap<Arc<str>, Tracks>,
    members: Members,
    ledger: Ledger,
    /// Signals that ever had a good value, kept over restarts: an optional series counts once it was seen.
    seen: BTreeSet<String>,
    /// Those that replicas gave, also beside a page, kept over restarts too.
    spoken: BTreeSet<String>,
    /// Raw signals that the configured pages for the whole workload give.
    owed: BTreeSet<String>,
    /// Raw signals that each replica is asked for.
    asked: BTreeSet<String>,
    own: BTreeMap<String, (signals::Within, signals::Across)>,
    /// How far back each raw signal is asked for.
    reach: BTreeMap<Arc<str>, Span>,
    /// What stale data and the first difference of a step need beyond that.
    slack: Span,
    /// The first good reading of a replica in this process.
    first_heard: Option<Time>,
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
            spoken: BTreeSet::new(),
            owed: BTreeSet::new(),
            asked: BTreeSet::new(),
            own: BTreeMap::new(),
            reach: BTreeMap::new(),
            slack: Span(0),
            first_heard: None,
            tracks: 0,
            dropped: 0,
        }
    }

    /// Defaults of a source's own signal, as its manifest gives them.
    pub(crate) fn set_own(&mut self, signal: &str, within: signals::Within, across: signals::Across) {
        self.own.insert(signal.to_owned(), (within, across));
    }

    /// Keeps what the windows of `needs` ask for, and enough for the rules.
    pub(crate) fn set_needs(&mut self, needs: &[MetricNeed], limits: Limits) {
        self.slack = Span(limits.stale_after.0.saturating_add(limits.interval.0.saturating_mul(2)));
        self.reach.clear();
        for need in needs {
            let reach = Span(need.window.0.saturating_add(need.step.0).min(MAX_WINDOW.0));
            let mut extend = |raw: &str| {
                let kept = self.reach.entry(Arc::from(raw)).or_default();
                *kept = (*kept).max(reach);
            };
            extend(&need.signal);
            if let Some(signals::Origin::RateOf(raw) | signals::Origin::PercentileOf(raw, _)) =
                signals::canonical(&need.signal).map(|row| row.origin)
            {
                extend(raw);
            }
        }
        for (signal, tracks) in &mut self.signals {
            tracks.reach = self.reach.get(signal).copied().unwrap_or_default();
        }
    }

    /// How much of its past a track keeps whose signal is asked for so far back.
    fn keep(&self, reach: Span, histogram: bool) -> Keep {
        let base = if histogram { Span(0) } else { BASE_RETENTION };
        let (weight, share) = (if histogram { HISTOGRAM_WEIGHS } else { 1 }, MAX_KEPT / self.tracks.max(1));
        Keep {
            span: Span(reach.max(base).0.saturating_add(self.slack.0)),
            points: (share / weight).clamp(FEWEST_POINTS, MAX_POINTS),
        }
    }

    /// Who is there, as the targets report it.
    pub(crate) fn meet(&mut self, report: &PoolReport, now: Time) {
        self.members.meet(report, now);
    }

    /// Pools that the configuration no longer names leave.
    pub(crate) fn keep_pools(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.members.keep_pools(keep);
        self.ledger.keep_pools(keep);
        for tracks in self.signals.values_mut() {
            tracks.list.retain(|t| t.pool().is_none_or(keep));
        }
        self.tracks = self.signals.values().map(|t| t.list.len()).sum();
    }

    /// Takes readings in. Those of the same instant as, or older than, what is there are ignored.
    pub(crate) fn take(&mut self, samples: Vec<Sample>, limits: Limits, now: Time) {
        // The readings of a page come together; what is derived from several of them waits for the last.
        let mut samples = samples.into_iter().peekable();
        let mut split: Vec<Origin> = Vec::new();
        while let Some(sample) = samples.next() {
            let origin = sample.origin.clone();
            let mut page = Heard::default();
            self.take_one(sample, &mut page, now);
            while let Some(next) = samples.next_if(|s| s.origin == origin) {
                self.take_one(next, &mut page, now);
            }
            if let Origin::Replica { pool, replica } = &origin {
                if page.at.is_some() && self.first_heard.is_none() {
                    self.first_heard = page.at;
                }
                self.members.heard(pool, replica, &page);
                split.push(origin);
            }
        }
        split.sort_unstable();
        split.dedup();
        for origin in split {
            self.settle(&origin, limits, now);
        }
    }

    fn take_one(&mut self, sample: Sample, page: &mut Heard, now: Time) {
        let at = sample.at.min(now);
        let histogram = matches!(sample.reading, Reading::Histogram(_));
        let of_signal = self.signals.get(&*sample.signal).map(|tracks| tracks.reach);
        let reach = of_signal.unwrap_or_else(|| self.reach.get(&*sample.signal).copied().unwrap_or_default());
        let keep = self.keep(reach, histogram);
        if of_signal.is_none() {
            if self.tracks >= MAX_TRACKS {
                self.dropped += 1;
                return;
            }
            self.signals.insert(Arc::clone(&sample.signal), Tracks::new(&sample.signal, reach));
        }
        let Some(tracks) = self.signals.get_mut(&*sample.signal) else { return };
        let index = match tracks.find(&sample.origin, &sample.labels) {
            Ok(index) => index,
            Err(index) => {
                let siblings = tracks.of(&sample.origin);
                if self.tracks >= MAX_TRACKS || siblings.len() >= MAX_TRACKS_EACH {
                    self.dropped += 1;
                    return;
                }
                // A label set that joins others of its replica counted from zero since their last scrape.
                let joins = siblings.iter().filter_map(Track::newest_at).filter(|t| *t < at).max();
                let ceiling = tracks.row.map_or(f64::INFINITY, |row| row.ceiling);
                let mut track = Track::new(sample.origin.clone(), sample.labels, ceiling);
                if let Some(before) = joins {
                    track.start_from_zero(before, &sample.reading);
                }
                tracks.list.insert(index, track);
                self.tracks += 1;
                index
            }
        };
        tracks.hint = index + 1;
        let arrival = if tracks.row.is_none_or(|row| fits(row.origin, &sample.reading)) {
            tracks.list[index].push(at, &sample.reading, keep)
        } else {
            tracks.list[index].refuse(at)
        };
        let Arrival::Kept { moved } = arrival else { return };
        if !tracks.known.0 {
            self.seen.insert(sample.signal.to_string());
            tracks.known.0 = true;
        }
        if sample.origin != Origin::Query && !tracks.known.1 {
            self.spoken.insert(sample.signal.to_string());
            tracks.known.1 = true;
        }
        let counts = !matches!(sample.reading, Reading::Gauge(_));
        page.at = page.at.max(Some(at));
        page.counts |= counts;
        // A long prompt moves no counter for a while, but it takes block after block of the KV cache.
        page.lives |= moved && (counts || &*sample.signal == "kv-cache-usage");
    }

    /// After a replica's page was taken in: what is derived from several of its signals.
    fn settle(&mut self, origin: &Origin, limits: Limits, now: Time) {
        let Origin::Replica { pool, replica } = origin else { return };
        let of = |signal: &str| self.signals.get(signal).map_or(&[][..], |t| t.of(origin));
        let level = |signal: &str| -> Option<f64> {
            // A set of labels that is no longer on the page says nothing any more.
            let fresh = |t: &&Track| t.newest_at().is_some_and(|at| now.since(at) <= limits.stale_after);
            let values = of(signal).iter().filter(fresh).filter_map(Track::newest_value);
            values.fold(None, |sum, v| Some(sum.unwrap_or(0.0) + v))
        };
        let (waiting, running) = (level("queue-depth"), level("active-sequences"));
        let work = waiting.unwrap_or(0.0) + running.unwrap_or(0.0);
        let stalled = self.members.works(pool, replica, work, limits, now);
        let completed = of("requests-completed");
        let page = completed.iter().filter_map(Track::newest_at).max().map(|at| Page {
            at,
            completed: completed.iter().filter_map(Track::newest_value).sum(),
            waiting,
            running,
            reset: completed.iter().any(Track::just_reset),
            stalled: stalled.is_some(),
        });
        if let Some(page) = page.filter(|p| now.since(p.at) <= limits.stale_after) {
            let keep = self.keep(self.reach.get("request-rate").copied().unwrap_or_default(), false);
            self.ledger.note(origin, page, keep, limits.stale_after);
        }
        if let Some(since) = stalled {
            // The page was frozen, or the engine was: what it did meanwhile is not the work of one step.
            for tracks in self.signals.values_mut() {
                tracks.of_mut(origin).iter_mut().filter(|t| t.is_running()).for_each(|t| t.forget_stall(since));
            }
            self.ledger.forget_stall(origin, since);
        }
    }

    /// Samples that were dropped because the workload has too many tracks.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Signals that ever had a good value.
    pub(crate) fn seen(&self) -> &BTreeSet<String> {
        &self.seen
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
