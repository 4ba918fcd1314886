//! Who answers a need, in which groups, and on which grid.
//!
//! For: the series that policies see. Each step ends at `now` less a whole number of steps. Within a replica, sets of
//! labels (engines, ranks, finish reasons) merge first, by the signal's default; then replicas merge as was asked. Never
//! stores anything.

use super::ledger::Account;
use super::members::Member;
use super::merge::Merge;
use super::track::{Track, Value};
use super::{Answered, Limits, MAX_SERIES, MAX_STEPS, MAX_VALUES, MAX_WINDOW, Tracks, Windows};
use crate::decision::{Input, InputKind};
use crate::policy::{MetricNeed, Series};
use crate::sample::{Labels, Origin};
use crate::signals::{self, Across, Within};
use crate::time::{Span, Time};

/// What stands for the identity of a page for the whole workload.
pub(super) const PAGE: &str = "the page of the workload";

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
    /// Whether replicas are asked for it, as the sources are configured.
    asked: bool,
    /// There were more groups than an observation holds.
    cut: bool,
    /// The group last asked for.
    latest: usize,
    /// See [`Voice`].
    owed_since: Option<Time>,
    step: Span,
    steps: u64,
}

/// The tracks behind one series.
pub(super) struct Group<'a> {
    labels: Labels,
    pub(super) voices: Vec<Voice<'a>>,
    /// Serving replicas that should answer and have no track: pool, identity.
    pub(super) absent: Vec<(&'a str, &'a str, &'a Member)>,
    /// A configured page should answer, and never has.
    pub(super) no_page: bool,
}

/// One replica (or one page for the workload) in one group.
pub(super) struct Voice<'a> {
    origin: &'a Origin,
    pub(super) member: Option<&'a Member>,
    pub(super) tracks: Vec<&'a Track>,
    /// For the service rate: the books instead.
    pub(super) account: Option<&'a Account>,
    /// For a page that is configured: when it last gave that signal. It owes what it gave then, however long ago.
    owed_since: Option<Time>,
}

/// What a series is computed from.
enum Supply<'a> {
    Tracks(Vec<&'a Track>),
    Accounts(Vec<(&'a Origin, &'a Account)>),
}

impl<'a> Plan<'a> {
    /// The group of those values of the labels asked `by`. Neighbours mostly belong together, so the last is tried first.
    fn group(&mut self, values: &[&str]) -> &mut Group<'a> {
        let same = |group: &Group<'a>| group.labels.iter().map(|(_, value)| value.as_str()).eq(values.iter().copied());
        if !self.groups.get(self.latest).is_some_and(same) {
            let by = self.need.by.iter().cloned();
            let labels: Labels = by.zip(values.iter().map(|v| (*v).to_owned())).collect();
            self.latest = match self.groups.binary_search_by(|g| g.labels.cmp(&labels)) {
                Ok(index) => index,
                Err(index) => {
                    self.groups.insert(index, Group { labels, voices: Vec::new(), absent: Vec::new(), no_page: false });
                    index
                }
            };
        }
        &mut self.groups[self.latest]
    }

    /// Leaves at most so many groups.
    pub(super) fn cut_to(&mut self, room: usize) {
        self.cut |= self.groups.len() > room;
        self.groups.truncate(room);
    }
}

impl Group<'_> {
    /// Whether that replica has a voice here. Voices are sorted by origin, as tracks and accounts are.
    fn has(&self, pool: &str, id: &str) -> bool {
        let order = |v: &Voice<'_>| match v.origin {
            Origin::Replica { pool: p, replica: r } => (&**p, &**r).cmp(&(pool, id)),
            Origin::Query => std::cmp::Ordering::Greater,
        };
        self.voices.binary_search_by(order).is_ok()
    }
}

impl Windows {
    /// Every series of every need, in the order of the needs, within the caps of the contract. `observations`: which
    /// needs go into one observation together.
    pub(crate) fn answer(
        &self,
        needs: &[MetricNeed],
        observations: &[Vec<usize>],
        min_coverage: f64,
        limits: Limits,
        now: Time,
    ) -> Vec<Vec<Answered>> {
        let mut plans: Vec<Plan<'_>> = needs.iter().map(|need| self.plan(need, limits, now)).collect();
        let mut steps = vec![MAX_STEPS; plans.len()];
        for together in observations {
            let mut room = MAX_SERIES;
            for index in together {
                plans[*index].cut_to(room);
                room -= plans[*index].groups.len();
            }
            let most = (MAX_VALUES / (MAX_SERIES - room).max(1)).max(1) as u64;
            for index in together {
                steps[*index] = steps[*index].min(most);
            }
        }
        plans.into_iter().zip(steps).map(|(plan, most)| Self::fill(plan, most, min_coverage, limits, now)).collect()
    }

    /// Which tracks answer a need, and in which groups.
    pub(super) fn plan<'a>(&'a self, need: &'a MetricNeed, limits: Limits, now: Time) -> Plan<'a> {
        let row = signals::canonical(&need.signal);
        let mut defaults = row.map(|r| (r.within, r.across));
        let supply = self.supply(&need.signal, &mut defaults);
        let (within, across) = defaults.or_else(|| self.own.get(&need.signal).copied()).unwrap_or(match &supply {
            Supply::Tracks(tracks) => own_defaults(tracks),
            Supply::Accounts(_) => (Within::Max, Across::Max),
        });
        let owed = self.owed_for(&need.signal);
        let step = Span(if need.step.0 == 0 { limits.interval.0 } else { need.step.0 }.max(1_000));
        let window = need.window.0.min(MAX_WINDOW.0);
        let mut plan = Plan {
            need,
            within: Within::parse(&need.within).unwrap_or(within),
            across: Across::parse(&need.across).unwrap_or(across),
            inside: if across == Across::Sum { Across::Sum } else { Across::Mean },
            groups: Vec::new(),
            per_replica: false,
            asked: self.is_asked(&need.signal),
            cut: false,
            latest: 0,
            owed_since: owed.and_then(|raw| self.signals.get(raw)).and_then(Tracks::page_newest),
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
        if plan.need.by.iter().any(|by| by != "pool") {
            // A replica that left or is silent, or labels that nobody gives any more, are no series any longer.
            plan.groups.retain(|group| group.voices.iter().any(|v| v.owes(limits, now)));
        }
        if owed.is_some_and(|raw| self.lacks(raw)) {
            // Which labels it would give nobody knows.
            plan.group(&vec![""; need.by.len()]).no_page = true;
        }
        plan.per_replica |= plan.asked && owed.is_some_and(|raw| self.spoken.contains(raw));
        self.expect_absent(&mut plan, limits, now);
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
        let member = match origin {
            Origin::Replica { pool, replica } => match self.members.get(pool, replica) {
                Some(member) => Some(member),
                // It left long ago: what was measured of it is still believed.
                None if account.is_some() => None,
                None => return, // never served as far as we know
            },
            Origin::Query => None,
        };
        plan.per_replica |= member.is_some();
        let owed_since = plan.owed_since.filter(|_| *origin == Origin::Query);
        let values: Vec<&str> = plan.need.by.iter().map(|name| label(name, origin, own)).collect();
        let group = plan.group(&values);
        // Tracks are sorted by origin, so the voice of this origin, if there is one, is the newest.
        match group.voices.last_mut() {
            Some(voice) if voice.origin == origin => voice.tracks.extend(track),
            _ => group.voices.push(Voice { origin, member, tracks: track.into_iter().collect(), account, owed_since }),
        }
    }

    /// Adds the replicas that serve, should answer, and have not.
    fn expect_absent<'a>(&'a self, plan: &mut Plan<'a>, limits: Limits, now: Time) {
        let by = &plan.need.by;
        // Which replica should carry which other label nobody knows.
        let known = by.iter().all(|by| by == "pool" || by == "replica");
        let each = by.iter().any(|by| by == "replica");
        if plan.per_replica || plan.groups.is_empty() {
            let serving = self.members.all().filter(|(.., m)| known && m.until.is_none());
            for (pool, id, member) in serving.filter(|(.., m)| !each || now.since(m.from) <= limits.silent_after) {
                let values: Vec<&str> = by.iter().map(|name| if name == "pool" { &**pool } else { &**id }).collect();
                let group = plan.group(&values);
                if !group.has(pool, id) {
                    group.absent.push((pool, id, member));
                }
            }
        }
        if plan.groups.is_empty() {
            plan.groups.push(Group { labels: Labels::new(), voices: Vec::new(), absent: Vec::new(), no_page: false });
        }
    }

    /// The values of a plan.
    pub(super) fn fill(plan: Plan<'_>, most: u64, min_coverage: f64, limits: Limits, now: Time) -> Vec<Answered> {
        let Plan { need, within, across, inside, groups, asked, step, steps, cut, .. } = plan;
        let (step, steps) = if steps > most { (Span((step.0 * steps).div_ceil(most)), most) } else { (step, steps) };
        let merge = Merge { within, across, inside, asked, step, limits };
        groups
            .iter()
            .map(|group| {
                let quality = merge.quality(group, now);
                let values = if quality.age.is_some() { merge.values(group, steps, now) } else { Vec::new() };
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
                let series = Series { signal, labels, step, values, age, coverage: quality.coverage };
                let Quality { late, gap, frozen, garbled, .. } = quality;
                Answered { series, input, late, frozen, garbled, gap, cut }
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
#[derive(Debug, Default)]
pub(super) struct Quality {
    pub(super) age: Option<Span>,
    pub(super) coverage: f64,
    /// Share of the replicas that answered, and whose answer there is no reason to doubt.
    pub(super) trusted: f64,
    pub(super) reset: bool,
    /// Who does not answer is not one of many that a share may do without: a page for the whole workload, or everyone.
    pub(super) gap: bool,
    pub(super) late: Vec<String>,
    pub(super) frozen: Vec<(String, Span)>,
    pub(super) garbled: Vec<String>,
}

impl Quality {
    fn kind(&self, min_coverage: f64, limits: Limits) -> InputKind {
        // Doubtful answers count as none: a few of many replicas may be doubtful, as a few may be missing.
        let doubtful = !(self.frozen.is_empty() && self.garbled.is_empty());
        match self.age {
            None => InputKind::Missing,
            Some(age) if age > limits.stale_after => InputKind::Stale,
            _ if doubtful && (self.trusted <= 0.0 || self.trusted < min_coverage) => InputKind::Suspicious,
            _ if self.coverage < min_coverage || self.gap => InputKind::Partial,
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

    /// The replica's identity, or what stands for one.
    pub(super) fn name(&self) -> &str {
        match self.origin {
            Origin::Replica { replica, .. } => replica,
            Origin::Query => PAGE,
        }
    }

    /// Whether it is a page, or a replica that serves and is not silent.
    pub(super) fn speaks_for_someone(&self, limits: Limits, now: Time) -> bool {
        match self.member {
            Some(member) => member.until.is_none() && !member.is_silent(limits, now),
            None => *self.origin == Origin::Query,
        }
    }

    /// Whether it should answer: it speaks for someone, and has not long stopped giving this signal, be it as nonsense.
    pub(super) fn owes(&self, limits: Limits, now: Time) -> bool {
        let given = self.tracks.iter().filter_map(|t| t.given_at()).max();
        let since = given.max(self.newest_at(false)).or(self.member.map(|m| m.from));
        let until = self.owed_since.unwrap_or(now);
        self.speaks_for_someone(limits, now) && since.is_none_or(|at| until.since(at) <= limits.silent_after)
    }

    pub(super) fn is_page(&self) -> bool {
        *self.origin == Origin::Query
    }

    /// Whether it served at that instant, so that its values belong to the sum.
    pub(super) fn counts_at(&self, at: Time) -> bool {
        self.member.is_none_or(|m| m.until.is_none_or(|until| at < until))
    }

    /// The newest good sample; for rates a track needs two.
    pub(super) fn newest_at(&self, two: bool) -> Option<Time> {
        match self.account {
            Some(account) => account.newest_at(),
            None => {
                self.tracks.iter().filter(|t| t.points.len() > usize::from(two)).filter_map(|t| t.newest_at()).max()
            }
        }
    }
}
