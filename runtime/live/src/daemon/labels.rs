//! Names of rules and outcomes as metric labels.
//!
//! For: labels that are ours alone. Never text from outside.

use trimtab_control::decision::{OutcomeState, Rule, ShadowRecord, StageRecord};

pub(super) fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Pause => "pause",
        Rule::Override => "override",
        Rule::Wake => "wake",
        Rule::Bounds => "bounds",
        Rule::Staleness => "staleness",
        Rule::Cooldown => "cooldown",
        Rule::Rate => "rate",
        Rule::Shift => "shift",
        Rule::Group => "group",
        Rule::Rollout => "rollout",
        Rule::Budget => "budget",
        Rule::Check => "check",
    }
}

pub(super) fn outcome(state: OutcomeState) -> &'static str {
    match state {
        OutcomeState::Unchanged => "unchanged",
        OutcomeState::Applied => "applied",
        OutcomeState::Observed => "observed",
        OutcomeState::Refused => "refused",
        OutcomeState::Failed => "failed",
        OutcomeState::Superseded => "superseded",
        OutcomeState::Dropped => "dropped",
    }
}

/// What a shadow said, against its stage.
pub(super) fn shadow(stage: &StageRecord, shadow: &ShadowRecord) -> &'static str {
    match &shadow.error {
        Some(_) => "error",
        None if shadow.targets == stage.targets => "same",
        None => "differs",
    }
}
