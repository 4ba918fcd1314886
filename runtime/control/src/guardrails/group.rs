//! Group: the increases of pools with the same group are granted whole or not at all.
//!
//! For: prefill and decode, where one without the other serves nobody. Never lowers a pool.

use super::{Case, Counts, Passage};
use crate::decision::Rule;

fn grows(case: &Case<'_>, wanted: Counts) -> bool {
    wanted.total() > case.present.total() || wanted.serving > case.present.serving
}

/// Per pool that grows in a group of which another pool is not granted whole: that other pool.
pub(super) fn denied<'a>(cases: &[Case<'a>], numbers: &[Counts], limits: &[Option<u32>]) -> Vec<Option<&'a str>> {
    let short: Vec<&Case<'a>> = (0..cases.len())
        .filter(|i| grows(&cases[*i], numbers[*i]) && limits[*i].is_some_and(|limit| numbers[*i].total() > limit))
        .map(|i| &cases[i])
        .collect();
    let of_group = |case: &Case<'a>| short.iter().find(|s| case.group.is_some() && s.group == case.group);
    let grown = cases.iter().zip(numbers);
    grown.map(|(case, wanted)| of_group(case).filter(|_| grows(case, *wanted)).map(|short| short.pool)).collect()
}

pub(super) fn apply(cases: &[Case<'_>], passage: &mut Passage, denied: &[Option<&str>]) {
    for (index, case) in cases.iter().enumerate() {
        let (Some(group), wanted) = (case.group, passage.numbers[index]) else { continue };
        if !grows(case, wanted) {
            continue;
        }
        match denied[index] {
            None => passage.record(Rule::Group, index, case, wanted, format!("group {group} is granted whole")),
            Some(short) => {
                // Standby that would have become serving stays what it is.
                let after = Counts { serving: wanted.serving.min(case.present.serving), ..case.present };
                let why = format!("not up: {short} of group {group} is not granted whole");
                passage.record(Rule::Group, index, case, after, why);
            }
        }
    }
}
