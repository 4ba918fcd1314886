//! What is believed of an answer.
//!
//! For: turning a guest's decision into an `Answer` that means exactly one thing, or a fault that says why not. Numbers
//! of replicas are not judged: the guardrails bound them. Never lets guest text through uncleaned.

use trimtab_control::policy::{Answer, Fault, Limit, Observation, Target, Tier};
use trimtab_control::time::Span;

use crate::bindings::trimtab::policy::types as wit;
use crate::limits::Limits;
use crate::text::{clean, cleaned};

/// The soonest a policy may be asked again, milliseconds.
const MIN_RECHECK: u64 = 1000;

/// The codes of the contract; what a policy says beyond them counts as the last.
const POLICY_CODES: [&str; 4] = ["bad-config", "missing-metric", "bad-state", "other"];

/// Checks a decision against what was asked. What was cut goes into `bounds`.
pub(crate) fn check(
    decision: wit::Decision,
    observation: &Observation,
    limits: &Limits,
    bounds: &mut Vec<Limit>,
) -> Result<Answer, Fault> {
    let mut targets: Vec<Target> = Vec::with_capacity(decision.targets.len().min(observation.pools.len() * 3));
    for target in decision.targets {
        let target = check_target(target, observation, limits)?;
        if limits.controls.answers && targets.iter().any(|t| t.pool == target.pool && t.tier == target.tier) {
            let tier = target.tier.as_str();
            return Err(bad_answer(&format!("it names pool `{}`, tier {tier} twice", target.pool), limits));
        }
        targets.push(target);
    }
    if let Some(state) = &decision.state
        && state.len() > limits.state_bytes
    {
        bounds.push(Limit::State);
        let message = format!("its state has {} bytes, and may have {}", state.len(), limits.state_bytes);
        return Err(Fault { code: "state-too-large".into(), message });
    }
    let escape = limits.controls.escape;
    let (reason, cut) = cleaned(&decision.reason, limits.text_bytes, escape);
    bounds.extend(cut.then_some(Limit::Reason));
    let mut cut = decision.notes.len() > limits.notes;
    let mut short = |text: &str| {
        let (text, too_long) = cleaned(text, limits.note_bytes, escape);
        cut |= too_long;
        text
    };
    let notes = decision.notes.iter().take(limits.notes).map(|(name, value)| (short(name), short(value))).collect();
    bounds.extend(cut.then_some(Limit::Notes));
    Ok(Answer {
        targets,
        reason,
        notes,
        state: decision.state,
        recheck: decision.recheck.map(|ms| Span(ms.max(MIN_RECHECK))),
    })
}

fn check_target(target: wit::Target, observation: &Observation, limits: &Limits) -> Result<Target, Fault> {
    let Some(tier) = Tier::parse(&target.tier) else {
        let tier = clean(&target.tier, 64);
        return Err(bad_answer(&format!("tier `{tier}` is unknown; there are serving, standby and headroom"), limits));
    };
    if limits.controls.answers && !observation.pools.iter().any(|p| p.name == target.pool) {
        let pool = clean(&target.pool, 64);
        return Err(bad_answer(&format!("pool `{pool}` is not in the observation"), limits));
    }
    Ok(Target { pool: target.pool, tier, replicas: target.replicas })
}

fn bad_answer(message: &str, limits: &Limits) -> Fault {
    Fault { code: "bad-answer".into(), message: clean(message, limits.text_bytes) }
}

/// The policy's own refusal, its code reduced to the known ones, so that it cannot speak for the host.
pub(crate) fn refusal(error: &wit::PolicyError, limits: &Limits, bounds: &mut Vec<Limit>) -> (String, String) {
    let known = POLICY_CODES.contains(&error.code.as_str()) || !limits.controls.codes;
    let code = if known { error.code.as_str() } else { "other" };
    let (message, cut) = cleaned(&error.message, limits.text_bytes, limits.controls.escape);
    bounds.extend(cut.then_some(Limit::Reason));
    (code.to_owned(), message)
}
