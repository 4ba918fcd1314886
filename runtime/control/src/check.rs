//! The invariants, stated once, independently of the rules that keep them.
//!
//! For: the last look at every decision, in every build. A violation is a defect of ours: the decision is dropped, the
//! pools hold, and it is counted and said. Never corrects anything.

use crate::config::{Rate, Step};
use crate::decision::Grant;
use crate::guardrails::{Case, Counts};
use crate::saved::Change;

/// An invariant that a decision would break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Something changes although a person has paused the workload.
    #[error("changes a paused pool")]
    Paused,
    /// Something changes although the target never answered.
    #[error("changes a pool whose target has not answered")]
    Unreported,
    /// Farther outside the bounds than before.
    #[error("farther outside the bounds than before")]
    Bounds,
    /// The last replica goes without a grant, or before its time.
    #[error("to zero without a grant")]
    Zero,
    /// More than granted, and more than before.
    #[error("over the budget")]
    Budget,
    /// Down on stale data, or after a stage that failed.
    #[error("down on data that is not good")]
    Stale,
    /// Down inside the cooldown.
    #[error("down inside the cooldown")]
    Cooldown,
    /// More than the rate allows.
    #[error("faster than the rate")]
    Rate,
    /// Down during a roll-out.
    #[error("down during a roll-out")]
    Rollout,
    /// Standby on a target that has none.
    #[error("standby on a target without that tier")]
    Standby,
}

/// Everything that is wrong with one pool's numbers.
pub(crate) fn pool(case: &Case<'_>, after: Counts, grant: &Grant, paused: bool) -> Vec<Violation> {
    let before = case.present;
    if after == before {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let mut forbid = |broken: bool, violation: Violation| {
        if broken {
            wrong.push(violation);
        }
    };
    forbid(paused, Violation::Paused);
    forbid(!case.reported, Violation::Unreported);
    // As the rules count it, less the standby that a bound takes where serving does not fall.
    let bounded = after.serving >= before.serving && after.total() >= case.max;
    let lower = after.lowers(before) && !bounded;
    let down = after.serving < before.serving;
    let up = after.serving > before.serving;
    let over = |counts: Counts| counts.total().saturating_sub(case.max);
    let under = |counts: Counts| case.min.saturating_sub(counts.serving);
    forbid(over(after) > over(before) || under(after) > under(before), Violation::Bounds);
    forbid(down && after.serving == 0 && !case.zero_granted(), Violation::Zero);
    let granted = grant.pools.iter().find(|g| g.pool == case.pool).and_then(|g| g.replicas).unwrap_or(u32::MAX);
    forbid(after.total() > granted.max(before.total()), Violation::Budget);
    forbid(!case.can_standby && after.standby > before.standby, Violation::Standby);
    forbid(case.rolling_out && lower, Violation::Rollout);
    if case.order.is_none() {
        forbid(lower && case.doubt.is_some(), Violation::Stale);
        forbid(lower && case.last_up.is_some_and(|at| case.now.since(at) < case.cooldown), Violation::Cooldown);
        forbid(down && too_fast(case, case.down, before.serving - after.serving, false), Violation::Rate);
        forbid(
            up && case.up.is_some_and(|rate| too_fast(case, rate, after.serving - before.serving, true)),
            Violation::Rate,
        );
    }
    wrong
}

/// Whether the moves inside the window, this one included, are more than its step.
fn too_fast(case: &Case<'_>, rate: Rate, this: u32, up: bool) -> bool {
    let counts = |c: &&Change| case.now.since(c.at) < rate.per && !c.is_asked_again(case.present.serving);
    let inside: Vec<_> = case.changes.iter().filter(counts).collect();
    let base = inside.first().map_or(case.present.serving, |c| c.from);
    let allowed = match rate.max_step {
        Step::Count(count) => u64::from(count),
        Step::Percent(percent) => u64::from(base) * u64::from(percent) / 100,
    };
    let moved: u64 = inside
        .iter()
        .map(|c| u64::from(if up { c.to.saturating_sub(c.from) } else { c.from.saturating_sub(c.to) }))
        .sum();
    moved + u64::from(this) > allowed.max(1)
}

#[cfg(test)]
mod tests;
