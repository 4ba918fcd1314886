//! Shift: where one decision raises a pool and lowers another, the decrease waits for the new replicas.
//!
//! For: moving from spot to on-demand without a hole in between. Waits until the new replicas are ready or stuck. Never
//! waits for an increase that the budget will not allow: that pool may be waiting for these very GPUs.

use std::collections::BTreeSet;

use super::{Case, Passage};
use crate::decision::Rule;

pub(super) fn apply(cases: &[Case<'_>], passage: &mut Passage, limits: &[Option<u32>]) -> Vec<BTreeSet<String>> {
    let raised: Vec<&str> = cases
        .iter()
        .enumerate()
        .filter(|(i, case)| passage.numbers[*i].serving.min(limits[*i].unwrap_or(u32::MAX)) > case.present.serving)
        .map(|(_, case)| case.pool)
        .collect();
    let mut waits = Vec::with_capacity(cases.len());
    for (index, case) in cases.iter().enumerate() {
        let wanted = passage.numbers[index];
        if !wanted.lowers(case.present) {
            waits.push(BTreeSet::new());
            continue;
        }
        let arriving = cases.iter().filter(|c| c.arriving > 0 && case.waits_for.contains(c.pool)).map(|c| c.pool);
        let sources: BTreeSet<String> =
            arriving.chain(raised.iter().copied()).filter(|name| *name != case.pool).map(str::to_owned).collect();
        if !sources.is_empty() {
            let names: Vec<&str> = sources.iter().map(String::as_str).collect();
            let why = format!("not down until the new replicas of {} are ready", names.join(", "));
            passage.record(Rule::Shift, index, case, case.keep(wanted), why);
        }
        waits.push(sources);
    }
    waits
}
