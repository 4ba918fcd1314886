//! Bounds: minimum and maximum, the grant for zero, and whether there is a standby tier at all.
//!
//! For: what the manifest promises. Where the present count lies outside, the bound is the goal and the rate paces the
//! way. Never lets the last replica go without a grant, or before it was idle for long enough.

use super::{Case, Counts, Ruling};

#[allow(clippy::unnecessary_wraps)] // every rule has the same shape
pub(super) fn apply(case: &Case<'_>, wanted: Counts) -> Ruling {
    if !case.reported {
        return Some((case.present, "the target has not answered yet: nothing changes".to_owned()));
    }
    let floor = case.min.max(u32::from(!case.zero_granted())).min(case.max);
    let serving = wanted.serving.clamp(floor, case.max);
    let room = case.max - serving;
    let standby = if case.can_standby { wanted.standby.min(room) } else { 0 };
    let mut why = format!("within {floor} to {}", case.max);
    if wanted.serving == 0 && serving > 0 && case.min == 0 {
        why = match case.zero {
            None => "no grant for zero".to_owned(),
            Some(zero) => format!(
                "zero only when idle for {}: {}",
                zero.after,
                zero.idle.map_or("it is not".to_owned(), |s| format!("{s} so far"))
            ),
        };
    } else if serving != wanted.serving {
        why = format!("{} is outside {floor} to {}", wanted.serving, case.max);
    }
    if standby != wanted.standby {
        why.push_str(if case.can_standby {
            "; standby cut to the room below max"
        } else {
            "; the target has no standby tier"
        });
    }
    Some((Counts { serving, standby }, why))
}
