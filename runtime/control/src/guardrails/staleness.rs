//! Staleness: never down on bad data, or because a stage gave no answer; no change at all where that stage says hold.
//!
//! For: no data is not zero. Looks only where something would be taken away, or nothing may change. Never holds back an
//! increase because of bad data.

use super::{Case, Counts, Ruling};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    if case.order.is_some() {
        return None;
    }
    if let Some(why) = case.hold.filter(|_| wanted != case.present) {
        // The bounds and the floor of a wake are no policy's to hold back.
        let floor = case.min.max(case.awake.map_or(0, |a| a.floor)).min(wanted.serving);
        let held = Counts { serving: case.present.serving.max(floor), ..case.present };
        return Some((case.fit(held), format!("held: {why}")));
    }
    if !wanted.lowers(case.present) {
        return None;
    }
    match &case.doubt {
        Some(doubt) => Some((case.keep(wanted), format!("not down: {doubt}"))),
        None => Some((wanted, "the data is good".to_owned())),
    }
}
