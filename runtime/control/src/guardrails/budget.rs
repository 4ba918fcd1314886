//! Budget: no more than the arbiter granted.
//!
//! For: GPUs that several workloads share. Standby is cut first. Never takes away what a pool holds.

use super::{Case, Counts, Ruling};
use crate::decision::Grant;

/// The most the pool may hold; none: unlimited.
pub(super) fn limit(case: &Case<'_>, grant: &Grant) -> Option<u32> {
    let limit = grant.pools.iter().find(|g| g.pool == case.pool)?.replicas?;
    Some(limit.max(case.present.total()))
}

pub(super) fn apply(case: &Case<'_>, wanted: Counts, grant: &Grant) -> Ruling {
    let limit = limit(case, grant)?;
    let serving = wanted.serving.min(limit);
    let standby = wanted.standby.min(limit - serving);
    let why = grant.pools.iter().find(|g| g.pool == case.pool).map_or("", |g| g.why.as_str());
    Some((Counts { serving, standby }, format!("granted {limit}{}{why}", if why.is_empty() { "" } else { ": " })))
}
