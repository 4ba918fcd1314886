//! Rate: at most so many replicas up or down within each sliding window.
//!
//! For: slow decreases, and increases as fast as they are allowed to be. The step is a number, or a percent of the
//! replicas at the start of the window, rounded down, at least 1. Never turns a decrease into an increase.

use super::{Case, Counts, Ruling};
use crate::config::{Rate, Step};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    let present = case.present.serving;
    if case.order.is_some() || wanted.serving == present {
        return None;
    }
    let up = wanted.serving > present;
    let rate = if up { case.up? } else { case.down };
    let (most, used) = window(case, rate, up);
    let left = most.saturating_sub(used);
    let serving = if up {
        wanted.serving.min(present.saturating_add(left))
    } else {
        wanted.serving.max(present.saturating_sub(left))
    };
    let mut after = case.fit(Counts { serving, ..wanted });
    if after.lowers(case.present) && !wanted.lowers(case.present) {
        // Standby that was to give way to serving stays for what does not come yet.
        after.standby = case.present.total() - after.serving;
    }
    let (way, per) = (if up { "up" } else { "down" }, rate.per);
    Some((after, format!("at most {most} {way} within {per}, {used} of them used")))
}

/// Replicas that the window allows one way, and those it has seen already.
fn window(case: &Case<'_>, rate: Rate, up: bool) -> (u32, u32) {
    let start = case.now - rate.per;
    let mut base = None;
    let mut used = 0_u32;
    for change in case.changes.iter().filter(|c| c.at > start && !c.is_asked_again(case.present.serving)) {
        base = base.or(Some(change.from));
        let (low, high) = if up { (change.from, change.to) } else { (change.to, change.from) };
        used = used.saturating_add(high.saturating_sub(low));
    }
    (step(rate.max_step, base.unwrap_or(case.present.serving)), used)
}

/// The step in replicas.
pub(super) fn step(step: Step, base: u32) -> u32 {
    match step {
        Step::Count(count) => count,
        Step::Percent(percent) => {
            let share = u64::from(base) * u64::from(percent) / 100;
            u32::try_from(share).unwrap_or(u32::MAX)
        }
    }
    .max(1)
}
