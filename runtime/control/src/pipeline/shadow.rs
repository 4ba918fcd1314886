//! A policy that is asked beside a stage, and never followed.
//!
//! For: trying a module on live inputs before it may act. It gets the observation and the proposal that its stage got, and
//! has a state and a breaker of its own. Never changes a target, and none of its failures means anything for the tick.

use super::{Commit, Context, Proposal, StageRecord, combine};
use crate::config::StageConfig;
use crate::decision::ShadowRecord;
use crate::policy::Target;
use crate::saved::Slot;

/// Asks it; `before` is the proposal that its stage was given.
pub(super) fn ask(
    index: usize,
    config: &StageConfig,
    context: &Context<'_>,
    before: Vec<Target>,
    proposal: &mut Proposal,
) -> ShadowRecord {
    let after = std::mem::replace(&mut proposal.targets, before);
    let mut record = StageRecord {
        name: config.name.clone(),
        policy: config.shadow.as_ref().map_or_else(String::new, |module| module.policy.clone()),
        digest: String::new(),
        targets: Vec::new(),
        reason: String::new(),
        notes: Vec::new(),
        log: Vec::new(),
        error: None,
        shadow: None,
    };
    match super::ask(context, (index, Slot::Shadow), proposal, &mut record) {
        Ok((slot, answer)) => {
            record.targets.clone_from(&proposal.targets);
            combine(&mut record.targets, &answer.targets, config.combine);
            record.reason = answer.reason;
            proposal.commits.push(Commit { stage: index, slot, state: answer.state });
        }
        Err(fault) => record.error = Some(fault),
    }
    proposal.targets = after;
    let StageRecord { policy, digest, targets, reason, error, .. } = record;
    ShadowRecord { policy, digest, targets, reason, error }
}
