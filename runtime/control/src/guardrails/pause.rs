//! Pause: nothing changes while a person says so.
//!
//! For: people in charge. Beats every other rule; nothing is asked of the arbiter. Never ends by itself before its time.

use super::{Case, Counts, Ruling};
use crate::command::Standing;

#[allow(clippy::unnecessary_wraps)] // every rule has the same shape
pub(super) fn apply(case: &Case<'_>, _wanted: Counts, standing: &Standing) -> Ruling {
    let left = standing.until.since(case.now);
    Some((case.present, format!("paused for another {left}: {}", standing.reason)))
}
