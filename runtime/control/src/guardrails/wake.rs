//! Wake: the floor that a wake raised is held.
//!
//! For: the way back from zero, where no replica is left to ask. Never lowers anything.

use super::{Case, Counts, Ruling};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    let (floor, until) = case.awake?;
    let serving = wanted.serving.max(floor);
    Some((Counts { serving, ..wanted }, format!("awake: at least {floor} for another {}", until.since(case.now))))
}
