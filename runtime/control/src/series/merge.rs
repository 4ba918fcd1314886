//! The arithmetic of series: one value per replica and step, then one value per step.
//!
//! For: rates, means and percentiles of what a group of replicas says. Percentiles come from merged buckets. Never
//! chooses who belongs to a group.

use super::Limits;
use super::grid::{Group, Quality, Voice, newest_of};
use super::members::Member;
use super::track::{Track, Value};
use crate::signals::{Across, Within};
use crate::time::{Span, Time};

/// How values merge.
pub(super) struct Merge {
    pub(super) within: Within,
    pub(super) across: Across,
    /// How sets of labels merge within a replica.
    pub(super) inside: Across,
    pub(super) step: Span,
    pub(super) limits: Limits,
}

impl Merge {
    /// How good the newest step is.
    pub(super) fn quality(&self, group: &Group<'_>, now: Time) -> Quality {
        let (mut expected, mut answered, mut trusted, mut newest) = (0_u32, 0_u32, 0_u32, None::<Time>);
        let mut quality = Quality::default();
        for voice in &group.voices {
            let at = voice.newest_at(self.needs_two());
            if !voice.owes(self.limits, now) {
                // One that serves but has long stopped giving this signal still says how old it is.
                if voice.speaks_for_someone(self.limits, now) {
                    newest = newest.max(at);
                }
                continue;
            }
            expected += 1;
            newest = newest.max(at);
            quality.reset |= voice.tracks.iter().any(|t| t.just_reset());
            let late = at.is_none_or(|at| now.since(at) > self.limits.stale_after);
            answered += u32::from(!late);
            match voice.member.filter(|m| m.is_frozen(self.limits, now)) {
                _ if voice.tracks.iter().any(|t| t.doubted()) => quality.garbled.push(voice.name().to_owned()),
                _ if late => quality.late.push(voice.name().to_owned()),
                Some(member) => quality.frozen.push((voice.name().to_owned(), member.still_for(now))),
                None => trusted += 1,
            }
        }
        for (_, id, _) in group.absent.iter().filter(|(.., m)| now.since(m.from) <= self.limits.silent_after) {
            expected += 1;
            quality.late.push((*id).to_owned());
        }
        let share = |n: u32| if expected == 0 { 1.0 } else { f64::from(n) / f64::from(expected) };
        Quality { age: newest.map(|at| now.since(at)), coverage: share(answered), trusted: share(trusted), ..quality }
    }

    fn needs_two(&self) -> bool {
        self.within == Within::Rate
    }

    /// One value for the step that ends at `end`.
    pub(super) fn at(&self, group: &Group<'_>, end: Time, newest: bool) -> f64 {
        if let Across::Percentile(percent) = self.across
            && matches!(group.voices.iter().find_map(|v| newest_of(&v.tracks)), Some(Value::Counts(_)))
        {
            return self.percentile(group, end, percent);
        }
        let mut known: Vec<(&str, f64)> = Vec::with_capacity(group.voices.len());
        let mut lost: Vec<(&str, f64)> = Vec::new();
        for voice in &group.voices {
            if voice.account.is_none() && !voice.counts_at(end) {
                continue;
            }
            match self.of(voice, end) {
                Some(value) => known.push((voice.pool(), value)),
                None => lost.extend(self.last_known(voice, end).map(|v| (voice.pool(), v))),
            }
        }
        if known.is_empty() {
            return f64::NAN;
        }
        if self.across == Across::Sum {
            let owing =
                group.absent.iter().filter(|(.., m)| newest && self.owes(m, end)).map(|(pool, ..)| (*pool, 0.0));
            return known.iter().map(|k| k.1).sum::<f64>()
                + lost.iter().copied().chain(owing).map(|(pool, last)| last.max(mean_of(&known, pool))).sum::<f64>();
        }
        across(self.across, known.into_iter().map(|k| k.1))
    }

    /// A replica that never answered counts in sums once it has had the time to.
    fn owes(&self, member: &Member, now: Time) -> bool {
        let waited = now.since(member.from);
        waited > self.limits.stale_after && waited <= self.limits.silent_after
    }

    /// One replica's value for a step; none: missing.
    fn of(&self, voice: &Voice<'_>, end: Time) -> Option<f64> {
        if let Some(account) = voice.account {
            return account.service_rate(end);
        }
        across_some(self.inside, voice.tracks.iter().filter_map(|t| self.of_track(t, end)))
    }

    fn of_track(&self, track: &Track, end: Time) -> Option<f64> {
        let last = track.at_or_before(end)?;
        let start = end - self.step;
        if end.since(track.points[last].at) > self.limits.stale_after {
            return None;
        }
        let number = |i: usize| track.points[i].value.number();
        let inside = || {
            let first = track.points.partition_point(|p| p.at <= start).min(last);
            (first..=last).filter_map(number)
        };
        match self.within {
            Within::Last => number(last),
            Within::Mean => across_some(Across::Mean, inside()),
            Within::Max => across_some(Across::Max, inside()),
            Within::Rate => {
                let first = start_of_difference(track, start, last)?;
                let seconds = track.points[last].at.since(track.points[first].at).as_seconds();
                Some(((number(last)? - number(first)?) / seconds).max(0.0))
            }
        }
    }

    /// The last value a missing replica had, as long as it is not silent.
    fn last_known(&self, voice: &Voice<'_>, end: Time) -> Option<f64> {
        let at = voice.newest_at(self.needs_two()).or(voice.member.map(|m| m.from))?;
        if voice.member.is_none() || end.since(at) > self.limits.silent_after {
            return None;
        }
        if voice.newest_at(self.needs_two()).is_none() {
            // It has not answered often enough yet for a rate: not missing before it had the time to.
            return (end.since(at) > self.limits.stale_after).then_some(0.0);
        }
        Some(self.of(voice, at.min(end)).unwrap_or(0.0))
    }

    /// A percentile of every request that finished in the step, on all replicas: bucket growth merged, then
    /// interpolated as Prometheus' `histogram_quantile` does.
    fn percentile(&self, group: &Group<'_>, end: Time, percent: u8) -> f64 {
        let mut merged: Vec<(f64, f64)> = Vec::new();
        for track in group.voices.iter().filter(|v| v.counts_at(end)).flat_map(|v| &v.tracks) {
            let Some(last) = track.at_or_before(end) else { continue };
            if end.since(track.points[last].at) > self.limits.stale_after {
                continue;
            }
            let Some(first) = start_of_difference(track, end - self.step, last) else { continue };
            if let (Value::Counts(newer), Value::Counts(older)) =
                (&track.points[last].value, &track.points[first].value)
            {
                add_buckets(&mut merged, newer.less(older));
            }
        }
        quantile(&merged, f64::from(percent) / 100.0)
    }
}

/// The point a difference that ends at `last` starts from: the newest before the step, or the oldest in it.
fn start_of_difference(track: &Track, start: Time, last: usize) -> Option<usize> {
    let before = track.at_or_before(start).unwrap_or(0);
    let first = before.min(last.checked_sub(1)?);
    Some(first)
}

fn mean_of(known: &[(&str, f64)], pool: &str) -> f64 {
    let own = known.iter().filter(|(p, _)| *p == pool);
    let (sum, count) = own.fold((0.0, 0.0), |(s, n), (_, v)| (s + v, n + 1.0));
    if count > 0.0 { sum / count } else { known.iter().map(|k| k.1).sum::<f64>() / known.len() as f64 }
}

fn across_some(how: Across, values: impl Iterator<Item = f64>) -> Option<f64> {
    let value = across(how, values);
    (!value.is_nan()).then_some(value)
}

/// Merges values; NaN of none.
fn across(how: Across, values: impl Iterator<Item = f64>) -> f64 {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return f64::NAN;
    }
    match how {
        Across::Sum => values.sum(),
        Across::Mean => {
            let (sum, count) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
            sum / count
        }
        Across::Max => values.fold(f64::NEG_INFINITY, f64::max),
        Across::Min => values.fold(f64::INFINITY, f64::min),
        Across::Percentile(percent) => {
            let mut sorted: Vec<f64> = values.collect();
            sorted.sort_by(f64::total_cmp);
            // Nearest rank: with few replicas an interpolated value would be nobody's.
            let rank = (f64::from(percent) / 100.0 * sorted.len() as f64).ceil() as usize;
            sorted[rank.clamp(1, sorted.len()) - 1]
        }
    }
}

/// Adds cumulative bucket counts. Layouts that differ are merged on the bounds both have; a bound that only one has
/// would break the order of the counts.
fn add_buckets(merged: &mut Vec<(f64, f64)>, growth: impl Iterator<Item = (f64, f64)>) {
    let growth: Vec<(f64, f64)> = growth.collect();
    if merged.is_empty() {
        *merged = growth;
        return;
    }
    merged.retain_mut(|(bound, count)| match growth.iter().find(|g| g.0 == *bound) {
        Some(other) => {
            *count += other.1;
            true
        }
        None => false,
    });
}

/// The `q`-quantile of cumulative buckets, linear within a bucket; NaN of none.
fn quantile(buckets: &[(f64, f64)], q: f64) -> f64 {
    let Some(total) = buckets.last().map(|b| b.1).filter(|t| *t > 0.0) else { return f64::NAN };
    let rank = q * total;
    let Some(index) = buckets.iter().position(|b| b.1 >= rank) else { return f64::NAN };
    let (low, below) = if index == 0 { (0.0, 0.0) } else { buckets[index - 1] };
    let (high, up_to) = buckets[index];
    if high.is_infinite() || up_to <= below {
        return low; // the open bucket has no upper end: its lower bound is all that is known
    }
    low + (high - low) * (rank - below) / (up_to - below)
}
