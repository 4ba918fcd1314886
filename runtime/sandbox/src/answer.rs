//! What is believed of an answer.
//!
//! For: turning a guest's decision into an `Answer` that means exactly one thing, or a fault that says why not. Numbers
//! of replicas are not judged: the guardrails bound them. Never lets guest text through uncleaned.

use trimtab_control::policy::{Answer, Fault, Observation, Target, Tier};
use trimtab_control::time::Span;

use crate::bindings::trimtab::policy::types as wit;
use crate::limits::Limits;
use crate::text::clean;

/// The soonest a policy may be asked again, milliseconds.
const MIN_RECHECK: u64 = 1000;

/// The codes of the contract; what a policy says beyond them counts as the last.
const POLICY_CODES: [&str; 4] = ["bad-config", "missing-metric", "bad-state", "other"];

/// Checks a decision against what was asked.
pub(crate) fn check(decision: wit::Decision, observation: &Observation, limits: &Limits) -> Result<Answer, Fault> {
    let mut targets: Vec<Target> = Vec::with_capacity(decision.targets.len().min(observation.pools.len() * 3));
    for target in decision.targets {
        let target = check_target(target, observation, limits)?;
        if targets.iter().any(|t| t.pool == target.pool && t.tier == target.tier) {
            let tier = target.tier.as_str();
            return Err(bad_answer(&format!("it names pool `{}`, tier {tier} twice", target.pool), limits));
        }
        targets.push(target);
    }
    if let Some(state) = &decision.state
        && state.len() > limits.state_bytes
    {
        let message = format!("its state has {} bytes, and may have {}", state.len(), limits.state_bytes);
        return Err(Fault { code: "state-too-large".into(), message });
    }
    let note = |(name, value): (String, String)| (clean(&name, limits.note_bytes), clean(&value, limits.note_bytes));
    Ok(Answer {
        targets,
        reason: clean(&decision.reason, limits.text_bytes),
        notes: decision.notes.into_iter().take(limits.notes).map(note).collect(),
        state: decision.state,
        recheck: decision.recheck.map(|ms| Span(ms.max(MIN_RECHECK))),
    })
}

fn check_target(target: wit::Target, observation: &Observation, limits: &Limits) -> Result<Target, Fault> {
    let Some(tier) = Tier::parse(&target.tier) else {
        let tier = clean(&target.tier, 64);
        return Err(bad_answer(&format!("tier `{tier}` is unknown; there are serving, standby and headroom"), limits));
    };
    if !observation.pools.iter().any(|p| p.name == target.pool) {
        let pool = clean(&target.pool, 64);
        return Err(bad_answer(&format!("pool `{pool}` is not in the observation"), limits));
    }
    Ok(Target { pool: target.pool, tier, replicas: target.replicas })
}

fn bad_answer(message: &str, limits: &Limits) -> Fault {
    Fault { code: "bad-answer".into(), message: clean(message, limits.text_bytes) }
}

/// The policy's own refusal, its code reduced to the known ones.
pub(crate) fn refusal(error: &wit::PolicyError, limits: &Limits) -> (&'static str, String) {
    let code = POLICY_CODES.into_iter().find(|code| *code == error.code).unwrap_or("other");
    (code, clean(&error.message, limits.text_bytes))
}
