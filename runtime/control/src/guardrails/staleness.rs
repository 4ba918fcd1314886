//! Staleness: never down on bad data, or because a stage gave no answer.
//!
//! For: no data is not zero. Looks only where something would be taken away. Never holds back an increase.

use super::{Case, Counts, Ruling};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    if case.order.is_some() || !wanted.lowers(case.present) {
        return None;
    }
    match &case.doubt {
        Some(doubt) => Some((case.keep(wanted), format!("not down: {doubt}"))),
        None => Some((wanted, "the data is good".to_owned())),
    }
}
