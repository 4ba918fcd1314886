//! From points to steps: one value per replica and step, then one value per step.
//!
//! For: the series that policies see. Each step ends at `now` less a whole number of steps. Within a replica, sets of
//! labels (engines, ranks, finish reasons) merge first, by the signal's default; then replicas merge as was asked. Never
//! stores anything.

use super::ledger::Account;
use super::members::Member;
use super::track::{Track, Value};
use super::{Answered, Limits, MAX_STEPS, MAX_WINDOW, Windows};
use crate::decision::{Input, InputKind};
use crate::policy::{MetricNeed, Series};
use crate::sample::{Labels, Origin};
use crate::signals::{self, Across, Within};
use crate::time::{Span, Time};

/// What a need asks for, resolved.
pub(super) struct Plan<'a> {
    need: &'a MetricNeed,
    within: Within,
    across: Across,
    /// How sets of labels merge within a replica.
    inside: Across,
    /// One per set of label values found; at least one.
    pub(super) groups: Vec<Group<'a>>,
    /// Whether replicas, rather than a page for the workload, should answer.
    per_replica: bool,
    step: Span,
    steps: u64,
}

/// The tracks behind one series.
pub(super) struct Group<'a> {
    labels: Labels,
    voices: Vec<Voice<'a>>,
    /// Serving replicas that should answer and have no track.
    absent: Vec<(&'a str, &'a Member)>,
}

/// One replica (or one page for the workload) in one group.
struct Voice<'a> {
    origin: &'a Origin,
    member: Option<&'a Member>,
    tracks: Vec<&'a Track>,
    /// For the service rate: the books instead.
    account: Option<&'a Account>,
}

/// What a series is computed from.
enum Supply<'a> {
    Tracks(Vec<&'a Track>),
    Accounts(Vec<(&'a Origin, &'a Account)>),
}

impl Windows {
    /// Which tracks answer a need, and in which groups.
    pub(super) fn plan<'a>(&'a self, need: &'a MetricNeed, limits: Limits) -> Plan<'a> {
        let row = signals::canonical(&need.signal);
        let mut defaults = row.map(|r| (r.within, r.across));
        let supply = self.supply(&need.signal, &mut defaults);
        let (within, across) = defaults.or_else(|| self.own.get(&need.signal).copied()).unwrap_or(match &supply {
            Supply::Tracks(tracks) => own_defaults(tracks),
            Supply::Accounts(_) => (Within::Max, Across::Max),
        });
        let step = Span(if need.step.0 == 0 { limits.interval.0 } else { need.step.0 }.max(1_000));
        let window = need.window.0.min(MAX_WINDOW.0);
        let mut plan = Plan {
            need,
            within: Within::parse(&need.within).unwrap_or(within),
            across: Across::parse(&need.across).unwrap_or(across),
            inside: if across == Across::Sum { Across::Sum } else { Across::Mean },
            groups: Vec::new(),
            per_replica: false,
            step,
            steps: window.div_ceil(step.0).clamp(1, MAX_STEPS),
        };
        if matches!(across, Across::Max | Across::Percentile(_)) {
            plan.inside = Across::Max;
        }
        match supply {
            Supply::Tracks(tracks) => {
                for track in tracks {
                    self.place(&mut plan, &track.origin, &track.labels, Some(track), None);
                }
            }
            Supply::Accounts(accounts) => {
                for (origin, account) in accounts {
                    self.place(&mut plan, origin, &Labels::new(), None, Some(account));
                }
            }
        }
        self.expect_absent(&mut plan);
        plan
    }

    /// The ready-made signal where a source gives it, else what it is derived from.
    fn supply<'a>(&'a self, signal: &str, defaults: &mut Option<(Within, Across)>) -> Supply<'a> {
        let tracks =
            |name: &str| -> Vec<&'a Track> { self.signals.get(name).into_iter().flat_map(|t| &t.list).collect() };
        let own = tracks(signal);
        if !own.is_empty() {
            if let (Some((within @ Within::Rate, _)), Some(Value::Level(_))) = (defaults, newest_of(&own)) {
                *within = Within::Last; // a ready-made rate is a level already
            }
            return Supply::Tracks(own);
        }
        match signals::canonical(signal).map(|row| row.origin) {
            Some(signals::Origin::RateOf(raw)) => Supply::Tracks(tracks(raw)),
            Some(signals::Origin::PercentileOf(raw, percent)) => {
                *defaults = Some((Within::Rate, Across::Percentile(percent)));
                Supply::Tracks(tracks(raw))
            }
            Some(signals::Origin::Arrivals) => {
                Supply::Tracks(self.ledger.accounts().filter_map(|(_, a)| a.arrivals.as_ref()).collect())
            }
            Some(signals::Origin::Service) => Supply::Accounts(self.ledger.accounts().collect()),
            _ => Supply::Tracks(Vec::new()),
        }
    }

    /// Puts one track into its group.
    fn place<'a>(
        &'a self,
        plan: &mut Plan<'a>,
        origin: &'a Origin,
        own: &Labels,
        track: Option<&'a Track>,
        account: Option<&'a Account>,
    ) {
        let labels: Labels =
            plan.need.by.iter().map(|name| (name.clone(), label(name, origin, own).to_owned())).collect();
        let member = match origin {
            Origin::Replica { pool, replica } => match self.members.get(pool, replica) {
                Some(member) => Some(member),
                None => return, // never served as far as we know
            },
            Origin::Query => None,
        };
        plan.per_replica |= member.is_some();
        let group = match plan.groups.binary_search_by(|g| g.labels.cmp(&labels)) {
            Ok(index) => &mut plan.groups[index],
            Err(index) => {
                plan.groups.insert(index, Group { labels, voices: Vec::new(), absent: Vec::new() });
                &mut plan.groups[index]
            }
        };
        // Tracks are sorted by origin, so the voice of this origin, if there is one, is the newest.
        match group.voices.last_mut() {
            Some(voice) if voice.origin == origin => voice.tracks.extend(track),
            _ => group.voices.push(Voice { origin, member, tracks: track.into_iter().collect(), account }),
        }
    }

    /// Adds the replicas that serve, should answer, and have not.
    fn expect_absent<'a>(&'a self, plan: &mut Plan<'a>) {
        if plan.groups.is_empty() {
            plan.groups.push(Group { labels: Labels::new(), voices: Vec::new(), absent: Vec::new() });
            plan.per_replica = self.members.all().any(|(.., m)| m.until.is_none());
        }
        if !plan.per_replica || plan.need.by.iter().any(|by| by != "pool" && by != "replica") {
            return; // which replica should carry which label nobody knows
        }
        for (pool, id, member) in self.members.all().filter(|(.., m)| m.until.is_none()) {
            for group in &mut plan.groups {
                let belongs = group.labels.iter().all(|(name, value)| match name.as_str() {
                    "pool" => **pool == **value,
                    _ => **id == **value,
                });
                let speaks =
                    |v: &Voice<'_>| matches!(v.origin, Origin::Replica { pool: p, replica: r } if p == pool && r == id);
                if belongs && !group.voices.iter().any(speaks) {
                    group.absent.push((pool, member));
                }
            }
        }
    }

    /// The values of a plan.
    pub(super) fn fill(
        &self,
        plan: Plan<'_>,
        most: u64,
        min_coverage: f64,
        limits: Limits,
        now: Time,
    ) -> Vec<Answered> {
        let Plan { need, within, across, inside, groups, step, steps, .. } = plan;
        let (step, steps) = if steps > most { (Span((step.0 * steps).div_ceil(most)), most) } else { (step, steps) };
        let merge = Merge { within, across, inside, step, limits };
        groups
            .iter()
            .map(|group| {
                let quality = merge.quality(group, now);
                let values: Vec<f64> = match quality.age {
                    None => Vec::new(),
                    Some(_) => {
                        (0..steps).rev().map(|back| merge.at(group, now - Span(step.0 * back), back == 0)).collect()
                    }
                };
                let value = values.last().copied().filter(|v| v.is_finite());
                let input = Input {
                    signal: need.signal.clone(),
                    labels: group.labels.clone(),
                    value,
                    age: quality.age,
                    coverage: quality.coverage,
                    kind: quality.kind(min_coverage, limits),
                };
                let age = quality.age.unwrap_or(Span(0));
                let (signal, labels) = (need.signal.clone(), group.labels.clone());
                Answered { series: Series { signal, labels, step, values, age, coverage: quality.coverage }, input }
            })
            .collect()
    }
}

/// The newest value of the first track that has one.
fn newest_of<'a>(tracks: &[&'a Track]) -> Option<&'a Value> {
    tracks.iter().find_map(|t| t.points.back()).map(|p| &p.value)
}

fn own_defaults(tracks: &[&Track]) -> (Within, Across) {
    match newest_of(tracks) {
        Some(Value::Total(_)) => (Within::Rate, Across::Sum),
        Some(Value::Counts(_)) => (Within::Rate, Across::Percentile(95)),
        _ => (Within::Last, Across::Sum),
    }
}

fn label<'a>(name: &str, origin: &'a Origin, own: &'a Labels) -> &'a str {
    match (name, origin) {
        ("pool", Origin::Replica { pool, .. }) => pool,
        ("replica", Origin::Replica { replica, .. }) => replica,
        _ => own.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v),
    }
}

/// How good a group's newest step is.
struct Quality {
    age: Option<Span>,
    coverage: f64,
    suspicious: bool,
    reset: bool,
}

impl Quality {
    fn kind(&self, min_coverage: f64, limits: Limits) -> InputKind {
        match self.age {
            None => InputKind::Missing,
            Some(age) if age > limits.stale_after => InputKind::Stale,
            _ if self.suspicious => InputKind::Suspicious,
            _ if self.coverage < min_coverage => InputKind::Partial,
            _ if self.reset => InputKind::Reset,
            _ => InputKind::Fresh,
        }
    }
}

/// How values merge.
struct Merge {
    within: Within,
    across: Across,
    inside: Across,
    step: Span,
    limits: Limits,
}

impl Merge {
    fn quality(&self, group: &Group<'_>, now: Time) -> Quality {
        let (mut expected, mut answered, mut newest) = (0_u32, 0_u32, None::<Time>);
        let (mut suspicious, mut reset) = (false, false);
        for voice in &group.voices {
            let at = voice.newest_at(self.needs_two());
            if voice.member.is_some_and(|m| m.until.is_some() || m.is_silent(self.limits, now)) {
                continue;
            }
            let since = at.or(voice.member.map(|m| m.from));
            if since.is_some_and(|at| now.since(at) > self.limits.silent_after) {
                // It gives other signals, but has long stopped giving this one.
                newest = newest.max(at);
                continue;
            }
            expected += 1;
            newest = newest.max(at);
            suspicious |=
                voice.member.is_some_and(|m| m.is_frozen(self.limits, now)) || voice.tracks.iter().any(|t| t.doubted());
            reset |= voice.tracks.iter().any(|t| t.just_reset());
            if at.is_some_and(|at| now.since(at) <= self.limits.stale_after) {
                answered += 1;
            }
        }
        expected += group.absent.iter().filter(|(_, m)| now.since(m.from) <= self.limits.silent_after).count() as u32;
        let coverage = if expected == 0 { 1.0 } else { f64::from(answered) / f64::from(expected) };
        Quality { age: newest.map(|at| now.since(at)), coverage, suspicious, reset }
    }

    fn needs_two(&self) -> bool {
        self.within == Within::Rate
    }

    /// One value for the step that ends at `end`.
    fn at(&self, group: &Group<'_>, end: Time, newest: bool) -> f64 {
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
            let owing = group.absent.iter().filter(|(_, m)| newest && self.owes(m, end)).map(|(pool, _)| (*pool, 0.0));
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

impl Voice<'_> {
    fn pool(&self) -> &str {
        match self.origin {
            Origin::Replica { pool, .. } => pool,
            Origin::Query => "",
        }
    }

    /// Whether it served at that instant, so that its values belong to the sum.
    fn counts_at(&self, at: Time) -> bool {
        self.member.is_none_or(|m| m.until.is_none_or(|until| at < until))
    }

    /// The newest good sample; for rates a track needs two.
    fn newest_at(&self, two: bool) -> Option<Time> {
        match self.account {
            Some(account) => account.arrivals.as_ref().and_then(Track::newest_at),
            None => {
                self.tracks.iter().filter(|t| t.points.len() > usize::from(two)).filter_map(|t| t.newest_at()).max()
            }
        }
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
