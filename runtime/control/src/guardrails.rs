//! The rules that no policy can reach, in their order.
//!
//! For: what stands between a proposal and an action. Each rule is one small pure file: facts of a pool and the numbers so
//! far in, numbers out, with one line that says why. A rule that has nothing to look at leaves no step. Never keeps
//! anything: what must be remembered is in the facts.

mod bounds;
mod budget;
mod cooldown;
mod group;
mod order;
mod pause;
mod rate;
mod rollout;
mod shift;
mod staleness;
mod wake;

use std::collections::{BTreeSet, VecDeque};

use crate::command::Standing;
use crate::config::Rate;
use crate::decision::{Grant, Rule, Step};
use crate::saved::Change;
use crate::time::{Span, Time};

/// Replicas of one pool, by tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) serving: u32,
    pub(crate) standby: u32,
}

impl Counts {
    pub(crate) fn total(self) -> u32 {
        self.serving.saturating_add(self.standby)
    }

    /// Whether `self` takes something away from `other`.
    pub(crate) fn lowers(self, other: Counts) -> bool {
        self.serving < other.serving || (self.standby < other.standby && self.total() < other.total())
    }
}

/// What the rules know of one pool.
#[derive(Debug, Clone)]
pub(crate) struct Case<'a> {
    pub(crate) now: Time,
    pub(crate) pool: &'a str,
    pub(crate) group: Option<&'a str>,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// The grant for zero; none: at least one replica stays.
    pub(crate) zero: Option<Zero>,
    /// What was last asked for.
    pub(crate) present: Counts,
    /// Whether the target ever answered. Until then nothing is known, so nothing changes.
    pub(crate) reported: bool,
    pub(crate) can_standby: bool,
    pub(crate) rolling_out: bool,
    /// New replicas on their way that are not stuck.
    pub(crate) arriving: u32,
    /// A person's number.
    pub(crate) order: Option<(u32, &'a Standing)>,
    /// The floor that a wake raised, and until when.
    pub(crate) awake: Option<Awake<'a>>,
    /// Why nothing may change: a stage that failed says so.
    pub(crate) hold: Option<&'a str>,
    /// Why this pool may not go down: bad data, or a stage that failed.
    pub(crate) doubt: Option<String>,
    pub(crate) last_up: Option<Time>,
    pub(crate) cooldown: Span,
    pub(crate) changes: &'a VecDeque<Change>,
    pub(crate) up: Option<Rate>,
    pub(crate) down: Rate,
    pub(crate) waits_for: &'a BTreeSet<String>,
}

/// A wake in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Awake<'a> {
    pub(crate) floor: u32,
    pub(crate) until: Time,
    /// What woke the pool.
    pub(crate) by: &'a str,
}

/// What the grant for zero hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zero {
    /// The chain must have proposed zero, and nothing run or waited, for so long.
    pub(crate) after: Span,
    /// For how long that has been so.
    pub(crate) idle: Option<Span>,
}

impl Case<'_> {
    /// Whether the last replica may go.
    pub(crate) fn zero_granted(&self) -> bool {
        self.zero.is_some_and(|z| self.present.serving == 0 || z.idle.is_some_and(|idle| idle >= z.after))
    }

    /// Holds what is there: nothing is taken away, and standby gives way to serving under the bound.
    pub(crate) fn keep(&self, wanted: Counts) -> Counts {
        let serving = wanted.serving.max(self.present.serving);
        self.fit(Counts { serving, standby: wanted.standby.max(self.present.standby) })
    }

    /// Standby cut to the room that serving leaves below the bound; what stands by already may stay where serving does
    /// not grow.
    pub(crate) fn fit(&self, wanted: Counts) -> Counts {
        let there = if wanted.serving <= self.present.serving { self.present.standby } else { 0 };
        let room = self.max.saturating_sub(wanted.serving).max(there);
        Counts { standby: wanted.standby.min(room), ..wanted }
    }
}

/// One rule's answer for one pool; none: it did not look.
type Ruling = Option<(Counts, String)>;

/// The numbers on their way through the rules, and the record of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passage {
    pub(crate) numbers: Vec<Counts>,
    pub(crate) steps: Vec<Step>,
    /// What the chain proposed.
    pub(crate) proposed: Vec<Counts>,
}

impl Passage {
    fn rule(&mut self, rule: Rule, cases: &[Case<'_>], apply: impl Fn(&Case<'_>, Counts) -> Ruling) {
        for (index, case) in cases.iter().enumerate() {
            if let Some((after, why)) = apply(case, self.numbers[index]) {
                self.record(rule, index, case, after, why);
            }
        }
    }

    fn record(&mut self, rule: Rule, index: usize, case: &Case<'_>, after: Counts, why: String) {
        let before = std::mem::replace(&mut self.numbers[index], after);
        self.steps.push(Step {
            rule,
            pool: case.pool.to_owned(),
            from: before.serving,
            to: after.serving,
            standby_from: before.standby,
            standby_to: after.standby,
            why,
        });
    }
}

/// Pause to rate. What comes out is what the workload asks the arbiter for.
pub(crate) fn up_to_rate(cases: &[Case<'_>], proposal: Vec<Counts>, paused: Option<&Standing>) -> Passage {
    let mut passage = Passage { numbers: proposal.clone(), steps: Vec::new(), proposed: proposal };
    if let Some(standing) = paused {
        passage.rule(Rule::Pause, cases, |case, wanted| pause::apply(case, wanted, standing));
        return passage;
    }
    passage.rule(Rule::Override, cases, order::apply);
    passage.rule(Rule::Wake, cases, wake::apply);
    passage.rule(Rule::Bounds, cases, bounds::apply);
    passage.rule(Rule::Staleness, cases, staleness::apply);
    passage.rule(Rule::Cooldown, cases, cooldown::apply);
    passage.rule(Rule::Rate, cases, rate::apply);
    passage
}

/// Shift to budget. Returns, per pool, the pools whose new replicas a decrease waits for.
///
/// Which group is denied is found out before the shift: nothing waits for an increase that will not be.
pub(crate) fn to_the_end(cases: &[Case<'_>], passage: &mut Passage, grant: &Grant) -> Vec<BTreeSet<String>> {
    let limits: Vec<Option<u32>> = cases.iter().map(|case| budget::limit(case, grant)).collect();
    let denied = group::denied(cases, &passage.numbers, &limits);
    let waits = shift::apply(cases, passage, &limits, &denied);
    group::apply(cases, passage, &denied);
    passage.rule(Rule::Rollout, cases, rollout::apply);
    passage.rule(Rule::Budget, cases, |case, wanted| budget::apply(case, wanted, grant));
    waits
}

#[cfg(test)]
mod tests;
