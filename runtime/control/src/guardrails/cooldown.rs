//! Cooldown: no decrease soon after the pool's last accepted increase.
//!
//! For: no reversals. A burst that was worth a start is worth keeping for a while. Never holds back an increase.

use super::{Case, Counts, Ruling};

pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    if case.order.is_some() || !wanted.lowers(case.present) {
        return None;
    }
    let since = case.now.since(case.last_up?);
    if since >= case.cooldown {
        return Some((wanted, format!("last increase {since} ago")));
    }
    Some((case.keep(wanted), format!("not down: last increase {since} ago, cooldown {}", case.cooldown)))
}
