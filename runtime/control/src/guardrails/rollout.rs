//! Roll-out: nothing is scaled down while the target replaces one generation of replicas by another.
//!
//! For: both generations count then, and half of them are about to go anyway. Never holds back an increase.

use super::{Case, Counts, Ruling};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    if !case.rolling_out || !wanted.lowers(case.present) {
        return None;
    }
    Some((case.keep(wanted), "not down: the target is rolling out".to_owned()))
}
