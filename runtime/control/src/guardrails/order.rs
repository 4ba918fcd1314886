//! Override: a person's number replaces the proposal.
//!
//! For: people in charge. Skips staleness, cooldown and rate, not bounds or budget. Never touches the other tiers.

use super::{Case, Counts, Ruling};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    let (serving, standing) = case.order?;
    let left = standing.until.since(case.now);
    Some((
        Counts { serving, ..wanted },
        format!("a person asked for {serving} for another {left}: {}", standing.reason),
    ))
}
