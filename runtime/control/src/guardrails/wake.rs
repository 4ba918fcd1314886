//! Wake: the floor that a wake raised is held.
//!
//! For: the way back from zero, where no replica is left to ask. Never lowers anything.

use super::{Awake, Case, Counts, Ruling};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    let Awake { floor, until, by } = case.awake?;
    let serving = wanted.serving.max(floor);
    let left = until.since(case.now);
    Some((Counts { serving, ..wanted }, format!("awake, at least {floor} for another {left} ({by})")))
}
