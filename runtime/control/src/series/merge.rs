//! The arithmetic of series: one value per replica and step, then one value per step.
//!
//! For: rates, means and percentiles of what a group of replicas says. Percentiles come from merged buckets. Never
//! chooses who belongs to a group.

use super::Limits;
use super::grid::{Group, PAGE, Quality, Voice, newest_of};
use super::members::Member;
use super::track::{Track, Value, Walk};
use crate::signals::{Across, Within};
use crate::time::{Span, Time};

/// How values merge.
pub(super) struct Merge {
    pub(super) within: Within,
    pub(super) across: Across,
    /// How sets of labels merge within a replica.
    pub(super) inside: Across,
    /// Replicas are asked for it.
    pub(super) asked: bool,
    pub(super) step: Span,
    pub(super) limits: Limits,
}

impl Merge {
    /// How good the newest step is.
    pub(super) fn quality(&self, group: &Group<'_>, now: Time) -> Quality {
        let (mut expected, mut answered, mut trusted, mut newest) = (0_u32, 0_u32, 0_u32, None::<Time>);
        let mut quality = Quality::default();
        let mut stopped: Vec<String> = Vec::new();
        for voice in &group.voices {
            let at = voice.newest_at(self.needs_two());
            if !voice.owes(self.limits, now) {
                // One that serves but has long stopped giving this signal still says how old it is.
                if voice.speaks_for_someone(self.limits, now) {
                    newest = newest.max(at);
                    stopped.push(voice.name().to_owned());
                }
                continue;
            }
            expected += 1;
            newest = newest.max(at);
            quality.reset |= voice.tracks.iter().any(|t| t.just_reset());
            let late = at.is_none_or(|at| now.since(at) > self.limits.stale_after);
            answered += u32::from(!late);
            quality.gap |= late && voice.is_page();
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
        if group.no_page {
            expected += 1;
            quality.gap = true;
            quality.late.push(PAGE.to_owned());
        }
        if expected == 0 && !stopped.is_empty() {
            // Nobody gives it any more: that is not all who should.
            expected = stopped.len() as u32;
            quality.late = stopped;
        }
        let (silent, speaks) = self.silent(group, now);
        if self.asked && newest.is_some() && !speaks && !silent.is_empty() {
            // That every replica is silent is no reason to believe who is left: a page.
            quality.gap = true;
            quality.late.extend(silent);
        }
        let share = |n: u32| if expected == 0 { 1.0 } else { f64::from(n) / f64::from(expected) };
        Quality { age: newest.map(|at| now.since(at)), coverage: share(answered), trusted: share(trusted), ..quality }
    }

    /// The serving replicas that are silent, and whether any is not.
    fn silent(&self, group: &Group<'_>, now: Time) -> (Vec<String>, bool) {
        let voices = group.voices.iter().filter_map(|v| Some((v.name(), v.member?)));
        let absent = group.absent.iter().map(|(_, id, member)| (*id, *member));
        let serving = voices.chain(absent).filter(|(_, member)| member.until.is_none());
        let (silent, speaking): (Vec<_>, Vec<_>) = serving.partition(|(_, member)| member.is_silent(self.limits, now));
        (silent.into_iter().map(|(id, _)| id.to_owned()).collect(), !speaking.is_empty())
    }

    fn needs_two(&self) -> bool {
        self.within == Within::Rate
    }

    /// One value per step, the newest of which ends at `now`. Replica by replica, so that each one's points are walked
    /// through once.
    pub(super) fn values(&self, group: &Group<'_>, steps: u64, now: Time) -> Vec<f64> {
        let ends: Vec<Time> = (0..steps).rev().map(|back| now - Span(self.step.0 * back)).collect();
        if let Across::Percentile(percent) = self.across {
            if matches!(group.voices.iter().find_map(|v| newest_of(&v.tracks)), Some(Value::Counts(_))) {
                return self.percentiles(group, &ends, percent);
            }
            return self.ranks(group, &ends);
        }
        let mut pools: Vec<(&str, Vec<Heap>)> = Vec::new();
        let mut lost: Vec<(usize, &str, f64)> = Vec::new();
        for voice in &group.voices {
            let known = pools.iter().position(|(name, _)| *name == voice.pool());
            let pool = known.unwrap_or_else(|| {
                pools.push((voice.pool(), vec![Heap::default(); ends.len()]));
                pools.len() - 1
            });
            self.speak(voice, &ends, &mut |step, said| match said {
                Said::Known(value) => pools[pool].1[step].add(value),
                Said::Lost(value) => lost.push((step, voice.pool(), value)),
            });
        }
        let newest = ends.len() - 1;
        let owing = group.absent.iter().filter(|(.., m)| self.owes(m, now));
        lost.extend(owing.map(|(pool, ..)| (newest, *pool, 0.0)));
        let mut all = vec![Heap::default(); ends.len()];
        for (_, heaps) in &pools {
            all.iter_mut().zip(heaps).for_each(|(all, one)| all.join(*one));
        }
        let mut values: Vec<f64> = all.iter().map(|heap| heap.value(self.across)).collect();
        if self.across == Across::Sum {
            for (step, pool, last) in lost.into_iter().filter(|(step, ..)| all[*step].count > 0) {
                let own = pools.iter().find(|(name, _)| *name == pool).map(|(_, heaps)| heaps[step]);
                let of = own.filter(|heap| heap.count > 0).unwrap_or(all[step]);
                values[step] += last.max(of.sum / f64::from(of.count));
            }
        }
        values
    }

    /// A percentile over the replicas' values, by nearest rank: with few replicas an interpolated value would be nobody's.
    fn ranks(&self, group: &Group<'_>, ends: &[Time]) -> Vec<f64> {
        let mut known: Vec<Vec<f64>> = vec![Vec::new(); ends.len()];
        for voice in &group.voices {
            self.speak(voice, ends, &mut |step, said| {
                if let Said::Known(value) = said {
                    known[step].push(value);
                }
            });
        }
        let rank = |mut values: Vec<f64>| {
            let Across::Percentile(percent) = self.across else { return f64::NAN };
            values.sort_by(f64::total_cmp);
            let rank = (f64::from(percent) / 100.0 * values.len() as f64).ceil() as usize;
            values.get(rank.clamp(1, values.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
        };
        known.into_iter().map(rank).collect()
    }

    /// A replica that never answered counts in sums once it has had the time to.
    fn owes(&self, member: &Member, now: Time) -> bool {
        let waited = now.since(member.from);
        waited > self.limits.stale_after && waited <= self.limits.silent_after
    }

    /// Tells what one replica says for each step.
    fn speak(&self, voice: &Voice<'_>, ends: &[Time], tell: &mut dyn FnMut(usize, Said)) {
        if let Some(account) = voice.account {
            for (step, end) in ends.iter().enumerate() {
                account.service_rate(*end).into_iter().for_each(|rate| tell(step, Said::Known(rate)));
            }
            return;
        }
        let Some(first_end) = ends.first().copied() else { return };
        let mut walks: Vec<(&Track, Walk<'_>, Walk<'_>)> = voice
            .tracks
            .iter()
            .map(|track| (*track, track.walk(first_end), track.walk(first_end - self.step)))
            .collect();
        for (step, end) in ends.iter().copied().enumerate().filter(|(_, end)| voice.counts_at(*end)) {
            let (mut fresh, mut old, mut newest) = (Heap::default(), Heap::default(), None::<Time>);
            for (track, last, first) in &mut walks {
                let Some(last) = last.at_or_before(end) else { continue };
                let first = first.at_or_before(end - self.step);
                let at = track.points[last].at;
                let heap = if end.since(at) <= self.limits.stale_after { &mut fresh } else { &mut old };
                if let Some(value) = self.of_points(track, first, last) {
                    heap.add(value);
                    newest = newest.max(Some(at));
                }
            }
            if fresh.count > 0 {
                tell(step, Said::Known(fresh.value(self.inside)));
            } else if let Some(last) = self.last_known(voice, end, &old, newest) {
                tell(step, Said::Lost(last));
            }
        }
    }

    /// The last value a missing replica had, as long as it is not silent. One that is new is not missing before it had
    /// the time to answer.
    fn last_known(&self, voice: &Voice<'_>, end: Time, old: &Heap, newest: Option<Time>) -> Option<f64> {
        let member = voice.member?;
        match newest {
            Some(at) => (end.since(at) <= self.limits.silent_after).then(|| old.value(self.inside)),
            None => self.owes(member, end).then_some(0.0),
        }
    }

    /// The value of a step that ends with the point `last`; `first` is the newest point before the step.
    fn of_points(&self, track: &Track, first: Option<usize>, last: usize) -> Option<f64> {
        let number = |i: usize| track.points[i].value.number();
        let inside = || (first.map_or(0, |i| i + 1).min(last)..=last).filter_map(number);
        match self.within {
            Within::Last => number(last),
            Within::Mean => {
                let (sum, count) = inside().fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
                (count > 0.0).then(|| sum / count)
            }
            Within::Max => inside().reduce(f64::max),
            Within::Rate => {
                let first = start_of_difference(first, last)?;
                let seconds = track.points[last].at.since(track.points[first].at).as_seconds();
                Some(((number(last)? - number(first)?) / seconds).max(0.0))
            }
        }
    }

    /// A percentile of every request that finished in a step, on all replicas: bucket growth merged, then interpolated
    /// as Prometheus' `histogram_quantile` does.
    fn percentiles(&self, group: &Group<'_>, ends: &[Time], percent: u8) -> Vec<f64> {
        let Some(first_end) = ends.first().copied() else { return Vec::new() };
        let mut merged: Vec<Vec<(f64, f64)>> = vec![Vec::new(); ends.len()];
        for voice in &group.voices {
            for track in &voice.tracks {
                let (mut last, mut first) = (track.walk(first_end), track.walk(first_end - self.step));
                for (step, end) in ends.iter().copied().enumerate().filter(|(_, end)| voice.counts_at(*end)) {
                    let Some(last) = last.at_or_before(end) else { continue };
                    let first = start_of_difference(first.at_or_before(end - self.step), last);
                    if end.since(track.points[last].at) > self.limits.stale_after {
                        continue;
                    }
                    let Some(first) = first else { continue };
                    if let (Value::Counts(newer), Value::Counts(older)) =
                        (&track.points[last].value, &track.points[first].value)
                    {
                        add_buckets(&mut merged[step], newer.less(older));
                    }
                }
            }
        }
        merged.iter().map(|buckets| quantile(buckets, f64::from(percent) / 100.0)).collect()
    }
}

/// What one replica says for one step.
enum Said {
    /// A value.
    Known(f64),
    /// Nothing; this was its last.
    Lost(f64),
}

/// Values on their way to become one.
#[derive(Debug, Clone, Copy)]
struct Heap {
    count: u32,
    sum: f64,
    most: f64,
    least: f64,
}

impl Default for Heap {
    fn default() -> Self {
        Heap { count: 0, sum: 0.0, most: f64::NEG_INFINITY, least: f64::INFINITY }
    }
}

impl Heap {
    fn add(&mut self, value: f64) {
        self.join(Heap { count: 1, sum: value, most: value, least: value });
    }

    fn join(&mut self, other: Heap) {
        self.count += other.count;
        self.sum += other.sum;
        self.most = self.most.max(other.most);
        self.least = self.least.min(other.least);
    }

    /// One value; NaN of none.
    fn value(&self, how: Across) -> f64 {
        match how {
            _ if self.count == 0 => f64::NAN,
            Across::Sum => self.sum,
            Across::Max | Across::Percentile(_) => self.most,
            Across::Min => self.least,
            Across::Mean => self.sum / f64::from(self.count),
        }
    }
}

/// The point a difference that ends at `last` starts from: the newest before the step, or the oldest in it.
fn start_of_difference(before: Option<usize>, last: usize) -> Option<usize> {
    Some(before.unwrap_or(0).min(last.checked_sub(1)?))
}

/// Adds cumulative bucket counts. Layouts that differ are merged on the bounds both have; a bound that only one has
/// would break the order of the counts.
fn add_buckets(merged: &mut Vec<(f64, f64)>, growth: impl Iterator<Item = (f64, f64)>) {
    if merged.is_empty() {
        merged.extend(growth);
        return;
    }
    let growth: Vec<(f64, f64)> = growth.collect();
    if merged.len() == growth.len() && merged.iter().zip(&growth).all(|(a, b)| a.0 == b.0) {
        merged.iter_mut().zip(growth).for_each(|(sum, more)| sum.1 += more.1);
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
