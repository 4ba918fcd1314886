//! Group: the increases of pools with the same group are granted whole or not at all.
//!
//! For: prefill and decode, where one without the other serves nobody. Never lowers a pool.

use super::{Case, Counts, Passage};
use crate::decision::Rule;

pub(super) fn apply(cases: &[Case<'_>], passage: &mut Passage, limits: &[Option<u32>]) {
    let grows = |passage: &Passage, i: usize| {
        let (wanted, present) = (passage.numbers[i], cases[i].present);
        wanted.total() > present.total() || wanted.serving > present.serving
    };
    let short: Vec<usize> = (0..cases.len())
        .filter(|i| grows(passage, *i) && limits[*i].is_some_and(|limit| passage.numbers[*i].total() > limit))
        .collect();
    for index in 0..cases.len() {
        let case = &cases[index];
        let Some(group) = case.group else { continue };
        if !grows(passage, index) {
            continue;
        }
        let wanted = passage.numbers[index];
        match short.iter().find(|i| cases[**i].group == Some(group)) {
            None => passage.record(Rule::Group, index, case, wanted, format!("group {group} is granted whole")),
            Some(denied) => {
                let after = Counts {
                    serving: wanted.serving.min(case.present.serving),
                    standby: wanted.standby.min(case.present.standby),
                };
                let why = format!("not up: {} of group {group} is not granted whole", cases[*denied].pool);
                passage.record(Rule::Group, index, case, after, why);
            }
        }
    }
}
