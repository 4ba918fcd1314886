//! Rate: at most so many replicas up or down within each sliding window.
//!
//! For: slow decreases, and increases as fast as they are allowed to be. The step is a number, or a percent of the
//! replicas at the start of the window, rounded down, at least 1. Never turns a decrease into an increase.

use super::{Case, Counts, Ruling};
use crate::config::{Rate, Step};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    if case.order.is_some() || wanted.serving == case.present.serving {
        return None;
    }
    let (present, per, most) = (case.present.serving, limit(case, wanted.serving)?.per, left(case, wanted.serving)?);
    let serving = if wanted.serving > present {
        wanted.serving.min(present.saturating_add(most))
    } else {
        wanted.serving.max(present.saturating_sub(most))
    };
    Some((case.fit(Counts { serving, ..wanted }), format!("{most} left of the step per {per}")))
}

fn limit(case: &Case<'_>, goal: u32) -> Option<Rate> {
    if goal > case.present.serving { case.up } else { Some(case.down) }
}

/// Replicas that the window still allows in the direction of `goal`.
fn left(case: &Case<'_>, goal: u32) -> Option<u32> {
    let rate = limit(case, goal)?;
    let start = case.now - rate.per;
    let mut base = None;
    let mut used = 0_u32;
    for change in case.changes.iter().filter(|c| c.at > start) {
        base = base.or(Some(change.from));
        let moved = if goal > case.present.serving {
            change.to.saturating_sub(change.from)
        } else {
            change.from.saturating_sub(change.to)
        };
        used = used.saturating_add(moved);
    }
    Some(step(rate.max_step, base.unwrap_or(case.present.serving)).saturating_sub(used))
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
