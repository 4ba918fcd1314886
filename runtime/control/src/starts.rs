//! Measured start-up times of one pool: how long an accepted scale-up took until its replicas were ready.
//!
//! For: looking ahead by what really happens. Counted per replica identity from the acceptance of the scale-up; starts
//! not finished count as lasting at least so long (product-limit estimate, Kaplan and Meier 1958). Wakes out of standby
//! are measured apart; restarts after a crash and anything during a roll-out are not measured at all. Never configures.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sample::{PoolReport, ReplicaState};
use crate::time::{Span, Time};

/// Finished starts that are remembered.
const KEPT: usize = 64;
/// Accepted scale-ups whose replicas have not shown up yet.
const MAX_AWAITED: usize = 64;
/// Below so many finished starts the manifest's figure counts.
const ENOUGH: usize = 3;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Starts {
    /// Durations of finished starts, oldest first.
    pub finished: VecDeque<Span>,
    /// Durations of finished wakes, oldest first.
    pub wakes: VecDeque<Span>,
    /// Accepted increases whose replicas have not shown up, oldest first.
    awaited: VecDeque<Claim>,
    /// Replicas on their way.
    running: BTreeMap<Arc<str>, Start>,
    /// Replicas there already.
    known: BTreeSet<Arc<str>>,
    /// False until the first report: who is there then was not started by us.
    met: bool,
    /// Finished and not yet fetched for the daemon's histogram. At most [`KEPT`].
    #[serde(skip)]
    fresh: Vec<Span>,
    /// Median and 90th percentile of `finished`, sorted once for each that is added; none: not known.
    #[serde(skip)]
    usual: Option<(Span, Span)>,
}

/// An accepted increase whose replicas have not all shown up: when, how many, and how many there should be with them
/// (serving and standby; 0: not known). A tuple, because that is how it was always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Claim(Time, u32, #[serde(default)] u32);

/// One replica on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Start {
    since: Time,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// Of an accepted scale-up.
    Ordered,
    /// Of an accepted scale-up, and crashed on the way: still new capacity to come, no longer a measure.
    Crashed,
    /// Out of standby.
    Wake,
    /// A crash, a roll-out, someone else's doing: expected, not measured.
    Other,
}

/// What the starting replicas amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// On their way, not stuck.
    pub(crate) starting: u32,
    /// Later than twice the p90.
    pub(crate) stuck: u32,
    /// When each that is not stuck is expected, soonest first.
    pub(crate) ready_at: Vec<Time>,
    /// New capacity on its way: without restarts, with accepted increases that have not shown up.
    pub(crate) arriving: u32,
}

impl Starts {
    pub(crate) fn not_after(&mut self, now: Time) {
        self.awaited.iter_mut().for_each(|a| a.0 = a.0.min(now));
        self.running.values_mut().for_each(|s| s.since = s.since.min(now));
    }

    /// The target took an increase of so many replicas, to `total`. What earlier ones await beyond where it began was
    /// not done: it is asked for again.
    pub(crate) fn ordered(&mut self, at: Time, count: u32, total: u32) {
        if count > 0 {
            self.give_up_beyond(total - count, |_| true);
            self.awaited.push_back(Claim(at, count, total));
            if self.awaited.len() > MAX_AWAITED {
                self.awaited.pop_front();
            }
        }
    }

    /// Nothing awaits more replicas than there should be, of the increases that `which` looks at.
    fn give_up_beyond(&mut self, desired: u32, which: impl Fn(Time) -> bool) {
        for Claim(_, count, total) in self.awaited.iter_mut().filter(|claim| which(claim.0)) {
            let excess = total.saturating_sub(desired);
            (*count, *total) = (count.saturating_sub(excess), *total - excess);
        }
        self.awaited.retain(|claim| claim.1 > 0);
    }

    /// Increases that have long not shown up will not: what starts later is another's.
    pub(crate) fn expire(&mut self, manifest: Span, now: Time) {
        let limit = self.stuck_after(manifest);
        self.awaited.retain(|claim| now.since(claim.0) <= limit);
    }

    /// The target took a decrease: increases that have not shown up will not.
    pub(crate) fn withdrawn(&mut self) {
        self.awaited.clear();
    }

    /// Takes a report in.
    pub(crate) fn meet(&mut self, report: &PoolReport, now: Time) {
        // The target says what it was asked for: what it does not know of, or was taken back since, will not show up.
        self.give_up_beyond(report.desired.saturating_add(report.standby), |at| at < report.at);
        let there: BTreeSet<&str> = report.replicas.iter().map(|r| &*r.id).collect();
        self.running.retain(|id, _| there.contains(&**id));
        self.known.retain(|id| there.contains(&**id));
        for replica in &report.replicas {
            let id = &replica.id;
            let was_known = self.known.contains(id);
            let since = replica.since.min(now);
            match replica.state {
                ReplicaState::Starting if !self.running.contains_key(id) => {
                    let kind = if replica.restarting || report.rolling_out {
                        Kind::Other
                    } else if was_known {
                        Kind::Wake
                    } else {
                        self.claim().map_or(Kind::Other, |_| Kind::Ordered)
                    };
                    let since = if kind == Kind::Ordered { self.take_claim(since) } else { since };
                    self.running.insert(Arc::clone(id), Start { since, kind });
                }
                ReplicaState::Starting => {
                    if let Some(start) = self.running.get_mut(id)
                        && (replica.restarting || report.rolling_out)
                    {
                        start.kind = match start.kind {
                            Kind::Ordered | Kind::Crashed if !report.rolling_out => Kind::Crashed,
                            _ => Kind::Other,
                        };
                    }
                }
                ReplicaState::Ready => self.arrived(id, since, was_known, report.rolling_out),
                ReplicaState::Standby | ReplicaState::Draining | ReplicaState::Failed => {
                    self.running.remove(id);
                }
            }
            if replica.state != ReplicaState::Starting && !was_known {
                self.known.insert(Arc::clone(id));
            }
        }
        self.met = true;
        if self.usual.is_none() && self.finished.len() >= ENOUGH {
            self.usual = Some((self.finished_at(0.5), self.finished_at(0.9)));
        }
    }

    fn claim(&self) -> Option<Time> {
        self.awaited.front().map(|a| a.0)
    }

    /// Takes one replica from the oldest increase that awaits some.
    fn take_claim(&mut self, otherwise: Time) -> Time {
        let Some(front) = self.awaited.front_mut() else { return otherwise };
        let at = front.0;
        front.1 -= 1;
        if front.1 == 0 {
            self.awaited.pop_front();
        }
        at
    }

    fn arrived(&mut self, id: &Arc<str>, ready: Time, was_known: bool, rolling_out: bool) {
        let start = match self.running.remove(id) {
            Some(start) => start,
            // So quick that nobody saw it start.
            None if self.met && !was_known && !rolling_out && self.claim().is_some() => {
                Start { since: self.take_claim(ready), kind: Kind::Ordered }
            }
            None => return,
        };
        let list = match start.kind {
            Kind::Ordered => &mut self.finished,
            Kind::Wake => &mut self.wakes,
            Kind::Other | Kind::Crashed => return,
        };
        let lasted = ready.since(start.since);
        if start.kind == Kind::Ordered && self.fresh.len() < KEPT {
            self.fresh.push(lasted);
        }
        list.push_back(lasted);
        if list.len() > KEPT {
            list.pop_front();
        }
        self.usual = None;
    }

    /// Durations of starts that finished since the last call.
    pub(crate) fn take_fresh(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.fresh)
    }

    /// Median and 90th percentile of a start. `manifest` until three were measured.
    pub(crate) fn quantiles(&self, manifest: Span, now: Time) -> (Span, Span) {
        if self.finished.len() < ENOUGH {
            return (manifest, manifest);
        }
        let limit = self.stuck_after(manifest);
        let unfinished =
            self.running.values().filter(|s| s.kind == Kind::Ordered).map(|s| now.since(s.since).min(limit));
        let mut all: Vec<(Span, bool)> = self.finished.iter().map(|d| (*d, true)).collect();
        all.extend(unfinished.map(|d| (d, false)));
        all.sort_by_key(|(d, finished)| (*d, !*finished));
        (product_limit(&all, 0.5), product_limit(&all, 0.9))
    }

    /// 90th percentile of a wake; none measured: none.
    pub(crate) fn wake_p90(&self) -> Option<Span> {
        if self.wakes.is_empty() {
            return None;
        }
        let mut all: Vec<(Span, bool)> = self.wakes.iter().map(|d| (*d, true)).collect();
        all.sort_unstable();
        Some(product_limit(&all, 0.9))
    }

    /// Median and 90th percentile of the finished starts alone: an unfinished one would move its own goal.
    fn usual(&self, manifest: Span) -> (Span, Span) {
        if self.finished.len() < ENOUGH {
            return (manifest, manifest);
        }
        self.usual.unwrap_or_else(|| (self.finished_at(0.5), self.finished_at(0.9)))
    }

    fn finished_at(&self, q: f64) -> Span {
        let mut all: Vec<(Span, bool)> = self.finished.iter().map(|d| (*d, true)).collect();
        all.sort_unstable();
        product_limit(&all, q)
    }

    /// Twice the p90. A start of no measurable length must not make every later one stuck.
    fn stuck_after(&self, manifest: Span) -> Span {
        Span(self.usual(manifest).1.0.max(1_000).saturating_mul(2))
    }

    /// What is on its way, and when it is expected.
    pub(crate) fn expected(&self, manifest: Span, now: Time) -> Expected {
        let (p50, p90) = self.usual(manifest);
        let limit = self.stuck_after(manifest);
        let mut expected = Expected::default();
        for start in self.running.values() {
            if now.since(start.since) > limit {
                expected.stuck += 1;
                continue;
            }
            expected.starting += 1;
            expected.arriving += u32::from(start.kind != Kind::Other);
            // The next of the usual instants that has not passed yet.
            let at = [p50, p90, limit].into_iter().map(|after| start.since + after).find(|at| *at >= now);
            expected.ready_at.push(at.unwrap_or(now));
        }
        let awaited = self.awaited.iter().filter(|claim| now.since(claim.0) <= limit);
        expected.arriving = awaited.fold(expected.arriving, |sum, claim| sum.saturating_add(claim.1));
        expected.ready_at.sort_unstable();
        expected
    }
}

/// The first duration by which a share `q` has finished; the longest seen where the estimate never gets there.
fn product_limit(sorted: &[(Span, bool)], q: f64) -> Span {
    let (mut left, mut at_risk) = (1.0, sorted.len() as f64);
    for (duration, finished) in sorted {
        if *finished {
            left *= 1.0 - 1.0 / at_risk;
            if 1.0 - left >= q - 1e-9 {
                return *duration;
            }
        }
        at_risk -= 1.0;
    }
    sorted.last().map_or(Span(0), |(duration, _)| *duration)
}

#[cfg(test)]
mod tests;
