//! The window of one signal of one replica and one set of labels: a bounded list of good points.
//!
//! For: reset detection and bounds. Running totals are kept with resets taken out, so any two points give a true
//! difference, and thinning loses resolution only. Never merges replicas.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::packed;
use crate::sample::{Histogram, Labels, Origin, Reading};
use crate::time::{Span, Time};

/// Most points of a track: twice the longest grid.
pub(super) const MAX_POINTS: usize = 2_880;
/// So many impossible jumps in a row are a new truth (an engine that restarted with other counters), not noise.
const BELIEVE_AFTER: u32 = 3;

/// Beyond 2^53 a float no longer counts by ones, so nothing has counted that far.
const MOST_COUNTED: f64 = 9_007_199_254_740_992.0;

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Kept; for running totals: whether it moved.
    Kept { moved: bool },
    /// Not newer than what is there.
    Old,
    /// Not a number a healthy engine gives: NaN, infinite, negative, malformed buckets.
    Refused,
    /// A jump no engine can make.
    Impossible,
}

/// How much of its past a track keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// Points older than this go.
    pub(super) span: Span,
    /// Beyond so many points, every second one of the older half goes.
    pub(super) points: usize,
}

/// Running bucket counts with resets taken out: the raw counts plus what was counted before the last reset.
#[derive(Debug, Clone)]
pub(super) struct Buckets {
    pub(super) raw: Arc<Histogram>,
    pub(super) before: Option<Arc<[f64]>>,
}

impl Buckets {
    /// Counts of `self` less those of `earlier`, with the upper bounds.
    pub(super) fn less<'a>(&'a self, earlier: &'a Buckets) -> impl Iterator<Item = (f64, f64)> + 'a {
        let count =
            |b: &Buckets, i: usize| b.raw.buckets.get(i).map_or(0.0, |x| x.1) + b.before.as_ref().map_or(0.0, |o| o[i]);
        (0..self.raw.buckets.len()).map(move |i| (self.raw.buckets[i].0, (count(self, i) - count(earlier, i)).max(0.0)))
    }

    fn total(&self, i: usize) -> f64 {
        self.raw.buckets[i].1 + self.before.as_ref().map_or(0.0, |o| o[i])
    }
}

/// What a point holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A level.
    Level(f64),
    /// A running total with resets taken out.
    Total(f64),
    /// Running bucket counts; boxed, since most points are plain numbers.
    Counts(Box<Buckets>),
}

impl Value {
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Value::Level(v) | Value::Total(v) => Some(*v),
            Value::Counts(_) => None,
        }
    }
}

/// One kept reading.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) at: Time,
    pub(super) value: Value,
}

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Track {
    pub(super) origin: Origin,
    pub(super) labels: Labels,
    #[serde(with = "packed")]
    pub(super) points: VecDeque<Point>,
    /// The newest raw number of a counter, to see a reset.
    raw: f64,
    ceiling: f64,
    doubts: u32,
    reset_at: Option<Time>,
    doubted_at: Option<Time>,
    /// When something came that at least claims to be a number.
    given_at: Option<Time>,
}

impl Track {
    pub(super) fn new(origin: Origin, labels: Labels, ceiling: f64) -> Self {
        let points = VecDeque::new();
        Track { origin, labels, points, raw: 0.0, ceiling, doubts: 0, reset_at: None, doubted_at: None, given_at: None }
    }

    /// The pool of the replica it speaks for.
    pub(super) fn pool(&self) -> Option<&str> {
        match &self.origin {
            Origin::Replica { pool, .. } => Some(pool),
            Origin::Query => None,
        }
    }

    /// A running total or a running histogram.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.points.back(), Some(Point { value: Value::Total(_) | Value::Counts(_), .. }))
    }

    pub(super) fn newest_at(&self) -> Option<Time> {
        self.points.back().map(|p| p.at)
    }

    pub(super) fn newest_value(&self) -> Option<f64> {
        self.points.back().and_then(|p| p.value.number())
    }

    /// When its origin last gave it, be it as an impossible number. An engine says NaN for what it cannot measure.
    pub(super) fn given_at(&self) -> Option<Time> {
        self.given_at.max(self.newest_at())
    }

    /// The newest reading began again from zero.
    pub(super) fn just_reset(&self) -> bool {
        self.reset_at.is_some() && self.reset_at == self.newest_at()
    }

    /// What it is derived from began again with its newest point.
    pub(super) fn mark_reset(&mut self) {
        self.reset_at = self.newest_at();
    }

    /// A reading that is no number, or an impossible one, came after the newest good one. A set of labels that never
    /// gave a number (an engine says NaN for what it cannot measure) casts no doubt on the others.
    pub(super) fn doubted(&self) -> bool {
        self.doubted_at.is_some_and(|at| self.newest_at().is_some_and(|good| at > good))
    }

    /// Takes back the points after `since` but the newest: they repeat what was true at `since`, and a difference that
    /// began at one of them would put the growth of the whole stall into its last step.
    pub(super) fn forget_stall(&mut self, since: Time) {
        let newest = self.newest_at();
        self.points.retain(|p| p.at <= since || Some(p.at) == newest);
    }

    /// Counts from zero at `at`, for a label set that appeared on a replica already known.
    pub(super) fn start_from_zero(&mut self, at: Time, like: &Reading) {
        match like {
            Reading::Counter(_) => self.points.push_back(Point { at, value: Value::Total(0.0) }),
            Reading::Histogram(h) => {
                let zero = Histogram { buckets: h.buckets.iter().map(|b| (b.0, 0.0)).collect() };
                let value = Value::Counts(Box::new(Buckets { raw: Arc::new(zero), before: None }));
                self.points.push_back(Point { at, value });
            }
            Reading::Gauge(_) => {}
        }
    }

    /// Takes one reading in.
    pub(super) fn push(&mut self, at: Time, reading: &Reading, keep: Keep) -> Arrival {
        if self.newest_at().is_some_and(|newest| newest >= at) {
            return Arrival::Old;
        }
        if !matches!(reading, Reading::Gauge(v) | Reading::Counter(v) if v.is_nan()) {
            self.given_at = Some(at);
        }
        let value = match reading {
            Reading::Gauge(v) => self.level(*v),
            Reading::Counter(v) => self.total(at, *v),
            Reading::Histogram(h) => self.counts(at, h),
        };
        let (value, moved) = match value {
            Ok(kept) => kept,
            Err(arrival) => {
                self.doubted_at = Some(at);
                return arrival;
            }
        };
        self.doubts = 0;
        self.points.push_back(Point { at, value });
        self.trim(at - keep.span, keep.points);
        Arrival::Kept { moved }
    }

    /// A reading of a kind that this signal never has.
    pub(super) fn refuse(&mut self, at: Time) -> Arrival {
        self.doubted_at = Some(at);
        Arrival::Refused
    }

    fn level(&mut self, v: f64) -> Result<(Value, bool), Arrival> {
        if !v.is_finite() || v < 0.0 {
            return Err(Arrival::Refused);
        }
        if v > self.ceiling {
            return Err(Arrival::Impossible);
        }
        if !matches!(self.points.back(), Some(Point { value: Value::Level(_), .. })) {
            self.points.clear();
        }
        let moved = self.newest_value() != Some(v);
        Ok((Value::Level(v), moved))
    }

    fn total(&mut self, at: Time, v: f64) -> Result<(Value, bool), Arrival> {
        if !(0.0..=MOST_COUNTED).contains(&v) {
            return Err(Arrival::Refused);
        }
        let Some(Point { at: before, value: Value::Total(total) }) = self.points.back() else {
            self.points.clear();
            self.raw = v;
            return Ok((Value::Total(v), true));
        };
        let (reset, seconds) = (v < self.raw, at.since(*before).as_seconds());
        let grown = if reset { v } else { v - self.raw };
        let total = *total;
        if grown / seconds.max(1.0) > self.ceiling {
            self.doubts += 1;
            if self.doubts < BELIEVE_AFTER {
                return Err(Arrival::Impossible);
            }
            // The new level has come to stay. What lies between the two is not work that anyone did.
            self.raw = v;
            self.reset_at = Some(at);
            return Ok((Value::Total(total), true));
        }
        if reset {
            self.reset_at = Some(at);
        }
        self.raw = v;
        Ok((Value::Total(total + grown), reset || grown > 0.0))
    }

    fn counts(&mut self, at: Time, raw: &Arc<Histogram>) -> Result<(Value, bool), Arrival> {
        if !well_formed(raw) {
            return Err(Arrival::Refused);
        }
        let fresh = Box::new(Buckets { raw: Arc::clone(raw), before: None });
        let Some(Point { at: before, value: Value::Counts(newest) }) = self.points.back() else {
            self.points.clear();
            return Ok((Value::Counts(fresh), true));
        };
        let same = newest.raw.buckets.len() == raw.buckets.len()
            && newest.raw.buckets.iter().zip(&raw.buckets).all(|(a, b)| a.0 == b.0);
        if !same {
            self.points.clear();
            self.reset_at = Some(at);
            return Ok((Value::Counts(fresh), true));
        }
        let reset = newest.raw.buckets.iter().zip(&raw.buckets).any(|(old, new)| new.1 < old.1);
        let last = raw.buckets.len() - 1;
        let grown = if reset { raw.buckets[last].1 } else { raw.buckets[last].1 - newest.raw.buckets[last].1 };
        if grown / at.since(*before).as_seconds().max(1.0) > self.ceiling {
            self.doubts += 1;
            if self.doubts < BELIEVE_AFTER {
                return Err(Arrival::Impossible);
            }
            self.points.clear();
            self.reset_at = Some(at);
            return Ok((Value::Counts(fresh), true));
        }
        let before = if reset {
            self.reset_at = Some(at);
            Some((0..raw.buckets.len()).map(|i| newest.total(i)).collect())
        } else {
            newest.before.clone()
        };
        let value = Value::Counts(Box::new(Buckets { raw: Arc::clone(raw), before }));
        Ok((value, reset || grown > 0.0))
    }

    fn trim(&mut self, keep: Time, most: usize) {
        // The newest point before the window stays: it is the start of the first difference.
        while self.points.len() > 2 && self.points[1].at < keep {
            self.points.pop_front();
        }
        if self.points.len() > most {
            let half = self.points.len() / 2;
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index > half || index % 2 == 0
            });
        }
    }

    /// Walks through the points, from the newest taken at or before `start` on.
    pub(super) fn walk(&self, start: Time) -> Walk<'_> {
        Walk { points: &self.points, next: self.points.partition_point(|p| p.at <= start) }
    }
}

/// A place among the points of a track that only moves on.
#[derive(Debug, Clone)]
pub(super) struct Walk<'a> {
    points: &'a VecDeque<Point>,
    next: usize,
}

impl Walk<'_> {
    /// Index of the newest point taken at or before `at`, which is no earlier than the last one asked for.
    pub(super) fn at_or_before(&mut self, at: Time) -> Option<usize> {
        while self.points.get(self.next).is_some_and(|p| p.at <= at) {
            self.next += 1;
        }
        self.next.checked_sub(1)
    }
}

fn well_formed(histogram: &Histogram) -> bool {
    !histogram.buckets.is_empty()
        && histogram.buckets.iter().all(|(bound, count)| !bound.is_nan() && count.is_finite() && *count >= 0.0)
        && histogram.buckets.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { span: Span(600_000), points: MAX_POINTS };

    fn track() -> Track {
        Track::new(Origin::Query, Vec::new(), 1e6)
    }

    #[test]
    fn a_reset_is_taken_out_of_the_total() {
        let mut track = track();
        for (second, raw) in [(0, 100.0), (1, 110.0), (2, 4.0), (3, 9.0)] {
            track.push(Time(second * 1000), &Reading::Counter(raw), KEEP);
        }
        assert_eq!(track.newest_value(), Some(119.0));
    }

    #[test]
    fn garbage_is_not_stored() {
        let mut track = track();
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!(track.push(Time(1), &Reading::Gauge(bad), KEEP), Arrival::Refused);
            assert_eq!(track.push(Time(1), &Reading::Counter(bad), KEEP), Arrival::Refused);
        }
        assert_eq!(track.newest_at(), None);
    }

    #[test]
    fn one_impossible_jump_is_refused_three_are_a_new_level_without_work() {
        let mut track = track();
        track.push(Time(0), &Reading::Counter(5.0), KEEP);
        assert_eq!(track.push(Time(1000), &Reading::Counter(1e15), KEEP), Arrival::Impossible);
        assert!(track.doubted());
        assert_eq!(track.push(Time(2000), &Reading::Counter(6.0), KEEP), Arrival::Kept { moved: true });
        assert!(!track.doubted());
        for second in 3..6 {
            track.push(Time(second * 1000), &Reading::Counter(1e15), KEEP);
        }
        assert_eq!(track.newest_value(), Some(6.0));
    }

    #[test]
    fn points_are_bounded_and_totals_survive_thinning() {
        let mut track = track();
        for second in 0..20_000_u64 {
            track.push(Time(second * 1000), &Reading::Counter(second as f64), Keep { span: Span(u64::MAX), ..KEEP });
        }
        assert!(track.points.len() <= MAX_POINTS);
        assert_eq!(track.newest_value(), Some(19_999.0));
    }

    #[test]
    fn buckets_survive_a_reset() {
        let page =
            |a: f64, b: f64| Reading::Histogram(Arc::new(Histogram { buckets: vec![(1.0, a), (f64::INFINITY, b)] }));
        let mut track = track();
        for (second, (a, b)) in [(0, (2.0, 4.0)), (1, (3.0, 6.0)), (2, (1.0, 1.0))] {
            track.push(Time(second * 1000), &page(a, b), KEEP);
        }
        let (Value::Counts(first), Value::Counts(last)) = (&track.points[0].value, &track.points[2].value) else {
            panic!()
        };
        assert_eq!(last.less(first).collect::<Vec<_>>(), vec![(1.0, 2.0), (f64::INFINITY, 3.0)]);
    }
}
