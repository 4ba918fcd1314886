//! The chain of policies: each stage gets the proposal so far and returns its own.
//!
//! For: calling policies, validating what they answer, merging it, and what a failure means. An answer with an unknown or
//! repeated target is no answer at all. State is committed by the controller at the end of the tick. Never clamps: numbers
//! are the guardrails'.

mod breaker;
mod chain;
mod memory;
mod shadow;

use crate::config::{Combine, OnFailure, StageConfig};
use crate::decision::StageRecord;
use crate::journal::{Fallen, is_of_the_machine};
use crate::policy::{Answer, Call, Fault, Level, LogLine, Observation, Target, Tier};
use crate::saved::Slot;
use crate::time::{Span, Time};

pub use chain::Tripped;
pub(crate) use chain::{Chain, Loaded};

/// Most bytes of a stage's state.
pub const MAX_STATE: usize = 64 * 1024;
/// The shortest recheck.
const MIN_RECHECK: Span = Span(1_000);

const TIERS: [Tier; 3] = [Tier::Serving, Tier::Standby, Tier::Headroom];

/// What a module's answer leaves behind at the end of the tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) stage: usize,
    pub(crate) slot: Slot,
    /// None: unchanged.
    pub(crate) state: Option<Vec<u8>>,
}

/// A call of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) stage: usize,
    pub(crate) slot: Slot,
    /// None: it answered.
    pub(crate) fault: Option<Fault>,
    /// What it logged, where it did not answer.
    pub(crate) log: Vec<LogLine>,
}

/// What the chain came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    /// One per pool and tier.
    pub(crate) targets: Vec<Target>,
    pub(crate) records: Vec<StageRecord>,
    pub(crate) commits: Vec<Commit>,
    /// Modules that were called, and how it went.
    pub(crate) calls: Vec<Called>,
    /// A stage gave no answer, and nothing may go down because of it.
    pub(crate) no_down: Option<String>,
    /// A stage gave no answer, and nothing changes because of it.
    pub(crate) hold: Option<String>,
    pub(crate) recheck: Option<Span>,
}

/// What the stages are called with.
pub(crate) struct Context<'a> {
    pub(crate) chain: &'a Chain,
    /// Gives the module of a stage what it needs to see, without the proposal.
    pub(crate) look: &'a dyn Fn(usize, Slot) -> Observation,
    /// Calls that are answered as they once were, instead of being made.
    pub(crate) fallen: &'a [Fallen],
    pub(crate) now: Time,
}

/// Runs the chain.
pub(crate) fn run(stages: &[StageConfig], context: &Context<'_>, desired: Vec<Target>) -> Proposal {
    let mut proposal = Proposal {
        targets: desired,
        records: Vec::with_capacity(stages.len()),
        commits: Vec::with_capacity(stages.len()),
        calls: Vec::with_capacity(stages.len()),
        no_down: None,
        hold: None,
        recheck: None,
    };
    for (index, config) in stages.iter().enumerate() {
        run_stage(index, config, context, &mut proposal);
    }
    proposal
}

fn run_stage(index: usize, config: &StageConfig, context: &Context<'_>, proposal: &mut Proposal) {
    let mut record = StageRecord {
        name: config.name.clone(),
        policy: config.module.policy.clone(),
        digest: String::new(),
        targets: Vec::new(),
        reason: String::new(),
        notes: Vec::new(),
        log: Vec::new(),
        error: None,
        shadow: None,
    };
    let before = config.shadow.is_some().then(|| proposal.targets.clone());
    let mut answered = ask(context, (index, Slot::Stage), proposal, &mut record);
    if let Err(fault) = answered.as_ref() {
        record.error = Some(fault.clone());
        let blame = || format!("stage {} gave no answer ({}: {})", config.name, fault.code, fault.message);
        match &config.on_failure {
            OnFailure::NoDown => proposal.no_down = Some(blame()),
            OnFailure::Hold => proposal.hold = Some(blame()),
            OnFailure::Skip => {}
            OnFailure::Fallback(module) => {
                let blame = blame();
                record.policy.clone_from(&module.policy);
                answered = ask(context, (index, Slot::Fallback), proposal, &mut record);
                if let Err(second) = &answered {
                    proposal.no_down =
                        Some(format!("{blame}, nor did its fallback ({}: {})", second.code, second.message));
                }
            }
        }
    }
    if let Ok((slot, answer)) = answered {
        combine(&mut proposal.targets, &answer.targets, config.combine);
        record.reason = answer.reason;
        record.notes = answer.notes;
        let recheck = answer.recheck.map(|r| r.max(MIN_RECHECK));
        proposal.recheck = proposal.recheck.into_iter().chain(recheck).min();
        proposal.commits.push(Commit { stage: index, slot, state: answer.state });
    }
    record.targets.clone_from(&proposal.targets);
    record.shadow = before.map(|before| shadow::ask(index, config, context, before, proposal));
    proposal.records.push(record);
}

fn ask(
    context: &Context<'_>,
    (index, slot): (usize, Slot),
    proposal: &mut Proposal,
    record: &mut StageRecord,
) -> Result<(Slot, Answer), Fault> {
    let cell = context.chain.cell(index, slot).ok_or_else(|| not_loaded("no such stage"))?;
    let Some(loaded) = &cell.loaded else {
        return Err(cell.refused.clone().unwrap_or_else(|| not_loaded("its module has not been loaded yet")));
    };
    record.digest.clone_from(&loaded.module.digest);
    if let Some(fault) = cell.breaker.open(context.now) {
        return Err(fault);
    }
    let mut observation = (context.look)(index, slot);
    observation.proposed.clone_from(&proposal.targets);
    let (state, why_none) = cell.memory.for_module(&loaded.policy, loaded.module.state_version);
    record.log.extend(why_none.map(|message| LogLine { level: Level::Warn, message }));
    let fallen = context.fallen.iter().find(|fallen| fallen.stage == index && fallen.slot == slot);
    let Call { answer, log, .. } = match fallen {
        Some(fallen) => fallen.call.clone(),
        None => loaded.module.policy.decide(&loaded.config, &observation, state),
    };
    let kept = if answer.is_err() { log.clone() } else { Vec::new() };
    record.log.extend(log);
    let answer = answer.and_then(|answer| validate(&answer, &observation).map(|()| answer));
    proposal.calls.push(Called { stage: index, slot, fault: answer.as_ref().err().cloned(), log: kept });
    Ok((slot, answer?))
}

/// The calls that failed by no fault of their arguments.
pub(crate) fn fallen(calls: &[Called]) -> Vec<Fallen> {
    let of_the_machine = |called: &&Called| called.fault.as_ref().is_some_and(is_of_the_machine);
    let fallen = |called: &Called| {
        let answer = Err(called.fault.clone()?);
        Some(Fallen {
            stage: called.stage,
            slot: called.slot,
            call: Call { answer, log: called.log.clone(), bounds: Vec::new() },
        })
    };
    calls.iter().filter(of_the_machine).filter_map(fallen).collect()
}

fn not_loaded(message: &str) -> Fault {
    Fault { code: "not-loaded".to_owned(), message: message.to_owned() }
}

/// What the sandbox has checked is checked again: this core trusts no caller.
fn validate(answer: &Answer, observation: &Observation) -> Result<(), Fault> {
    let bad = |message: String| Err(Fault { code: "bad-answer".to_owned(), message });
    for (index, target) in answer.targets.iter().enumerate() {
        if !observation.pools.iter().any(|p| p.name == target.pool) {
            return bad(format!("target for pool {:?}, which does not exist", shorten(&target.pool)));
        }
        if answer.targets[..index].iter().any(|t| t.pool == target.pool && t.tier == target.tier) {
            return bad(format!("two targets for pool {:?}, tier {}", target.pool, target.tier.as_str()));
        }
    }
    match &answer.state {
        Some(state) if state.len() > MAX_STATE => Err(Fault {
            code: "state-too-large".to_owned(),
            message: format!("a state of {} bytes; at most {MAX_STATE} are kept", state.len()),
        }),
        _ => Ok(()),
    }
}

fn shorten(name: &str) -> String {
    name.chars().take(64).collect()
}

fn combine(so_far: &mut [Target], answered: &[Target], how: Combine) {
    for target in answered {
        if let Some(own) = so_far.iter_mut().find(|t| t.pool == target.pool && t.tier == target.tier) {
            own.replicas = match how {
                Combine::Replace => target.replicas,
                Combine::Max => own.replicas.max(target.replicas),
                Combine::Min => own.replicas.min(target.replicas),
            };
        }
    }
}

/// One target per tier of a pool.
pub(crate) fn targets(pool: &str, replicas: [u32; 3]) -> impl Iterator<Item = Target> {
    let pool = pool.to_owned();
    TIERS.into_iter().zip(replicas).map(move |(tier, replicas)| Target { pool: pool.clone(), tier, replicas })
}

#[cfg(test)]
mod tests;
