//! Who answers a need, in which groups, and on which grid.
//!
//! For: the series that policies see. Each step ends at `now` less a whole number of steps. Within a replica, sets of
//! labels (engines, ranks, finish reasons) merge first, by the signal's default; then replicas merge as was asked. Never
//! stores anything.

use super::ledger::Account;
use super::members::Member;
use super::merge::Merge;
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
    pub(super) voices: Vec<Voice<'a>>,
    /// Serving replicas that should answer and have no track.
    pub(super) absent: Vec<(&'a str, &'a Member)>,
}

/// One replica (or one page for the workload) in one group.
pub(super) struct Voice<'a> {
    origin: &'a Origin,
    pub(super) member: Option<&'a Member>,
    pub(super) tracks: Vec<&'a Track>,
    /// For the service rate: the books instead.
    pub(super) account: Option<&'a Account>,
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
    pub(super) fn fill(plan: Plan<'_>, most: u64, min_coverage: f64, limits: Limits, now: Time) -> Vec<Answered> {
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
pub(super) fn newest_of<'a>(tracks: &[&'a Track]) -> Option<&'a Value> {
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
pub(super) struct Quality {
    pub(super) age: Option<Span>,
    pub(super) coverage: f64,
    pub(super) suspicious: bool,
    pub(super) reset: bool,
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

impl Voice<'_> {
    pub(super) fn pool(&self) -> &str {
        match self.origin {
            Origin::Replica { pool, .. } => pool,
            Origin::Query => "",
        }
    }

    /// Whether it served at that instant, so that its values belong to the sum.
    pub(super) fn counts_at(&self, at: Time) -> bool {
        self.member.is_none_or(|m| m.until.is_none_or(|until| at < until))
    }

    /// The newest good sample; for rates a track needs two.
    pub(super) fn newest_at(&self, two: bool) -> Option<Time> {
        match self.account {
            Some(account) => account.arrivals.as_ref().and_then(Track::newest_at),
            None => {
                self.tracks.iter().filter(|t| t.points.len() > usize::from(two)).filter_map(|t| t.newest_at()).max()
            }
        }
    }
}
