//! The rules one by one are told by `tests/scenarios`; here is their arithmetic.

use super::rate::step;
use crate::config::Step;

#[test]
fn a_percent_is_rounded_down_and_at_least_one() {
    let steps =
        [(Step::Percent(10), 25), (Step::Percent(10), 3), (Step::Count(0), 9), (Step::Percent(u32::MAX), u32::MAX)];
    assert_eq!(steps.map(|(s, base)| step(s, base)), [2, 1, 1, u32::MAX]);
}
