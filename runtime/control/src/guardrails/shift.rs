//! Shift: where one decision raises a pool and lowers another, the decrease waits for the new replicas.
//!
//! For: moving from spot to on-demand without a hole in between. Waits until the new replicas are ready or stuck, also
//! when another rule held the decrease back meanwhile. Never waits for an increase that the budget or a group will not
//! allow: that pool may be waiting for these very GPUs.

use std::collections::BTreeSet;

use super::{Case, Passage};
use crate::decision::Rule;

pub(super) fn apply(
    cases: &[Case<'_>],
    passage: &mut Passage,
    limits: &[Option<u32>],
    denied: &[Option<&str>],
) -> Vec<BTreeSet<String>> {
    let allowed = |i: usize| passage.numbers[i].serving.min(limits[i].unwrap_or(u32::MAX));
    let raised: Vec<&str> = cases
        .iter()
        .enumerate()
        .filter(|(i, case)| allowed(*i) > case.present.serving && denied[*i].is_none())
        .map(|(_, case)| case.pool)
        .collect();
    let mut waits = Vec::with_capacity(cases.len());
    for (index, case) in cases.iter().enumerate() {
        let wanted = passage.numbers[index];
        let arriving = cases.iter().filter(|c| c.arriving > 0 && case.waits_for.contains(c.pool)).map(|c| c.pool);
        let mut sources: BTreeSet<&str> = arriving.collect();
        if passage.proposed[index].lowers(case.present) || wanted.lowers(case.present) {
            sources.extend(raised.iter().filter(|name| **name != case.pool));
        }
        if wanted.lowers(case.present) && !sources.is_empty() {
            let names: Vec<&str> = sources.iter().copied().collect();
            let why = format!("not down until the new replicas of {} are ready", names.join(", "));
            passage.record(Rule::Shift, index, case, case.keep(wanted), why);
        }
        waits.push(sources.into_iter().map(str::to_owned).collect());
    }
    waits
}
