//! Decisions as scripts read them: with all that led to them, and what became of them.

use serde::Serialize;
use trimtab_control::decision::{Decision, Input, InputKind, OutcomeState, PoolDecision, StageRecord, Step};
use trimtab_control::policy::{Fault, LogLine, Target};
use trimtab_control::time::Span;

use super::{Instant, Object, present};

/// `GET …/decisions`.
#[derive(Serialize)]
pub(crate) struct DecisionsPage<'a> {
    pub(crate) decisions: Vec<DecisionShape<'a>>,
}

/// One decision with all that led to it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DecisionShape<'a> {
    id: &'a str,
    at: Instant,
    generation: u64,
    pools: Vec<PoolDecisionShape<'a>>,
    inputs: Vec<InputShape<'a>>,
    stages: Vec<StageRecordShape<'a>>,
    guardrails: Vec<StepShape<'a>>,
    recheck_at: Option<Instant>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolDecisionShape<'a> {
    name: &'a str,
    from: u32,
    to: u32,
    standby_from: u32,
    standby_to: u32,
    outcome: Option<OutcomeShape<'a>>,
}

#[derive(Serialize)]
struct OutcomeShape<'a> {
    state: OutcomeState,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputShape<'a> {
    signal: &'a str,
    labels: Object<'a>,
    /// Not a number, or endless: null.
    value: Option<f64>,
    age_seconds: Option<f64>,
    coverage: f64,
    kind: InputKind,
}

#[derive(Serialize)]
struct StageRecordShape<'a> {
    name: &'a str,
    policy: &'a str,
    digest: Option<&'a str>,
    targets: &'a [Target],
    reason: &'a str,
    notes: Object<'a>,
    log: &'a [LogLine],
    error: Option<&'a Fault>,
    shadow: Option<ShadowShape<'a>>,
}

#[derive(Serialize)]
struct ShadowShape<'a> {
    policy: &'a str,
    digest: Option<&'a str>,
    targets: &'a [Target],
    reason: &'a str,
    error: Option<&'a Fault>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepShape<'a> {
    rule: trimtab_control::decision::Rule,
    pool: &'a str,
    from: u32,
    to: u32,
    standby_from: u32,
    standby_to: u32,
    why: &'a str,
}

impl<'a> DecisionShape<'a> {
    pub(crate) fn new(decision: &'a Decision) -> DecisionShape<'a> {
        DecisionShape {
            id: &decision.id,
            at: Instant(decision.at),
            generation: decision.generation,
            pools: decision.pools.iter().map(PoolDecisionShape::new).collect(),
            inputs: decision.inputs.iter().map(InputShape::new).collect(),
            stages: decision.stages.iter().map(StageRecordShape::new).collect(),
            guardrails: decision.guardrails.iter().map(StepShape::new).collect(),
            recheck_at: decision.recheck_at.map(Instant),
        }
    }
}

impl<'a> PoolDecisionShape<'a> {
    fn new(pool: &'a PoolDecision) -> PoolDecisionShape<'a> {
        PoolDecisionShape {
            name: &pool.name,
            from: pool.from,
            to: pool.to,
            standby_from: pool.standby_from,
            standby_to: pool.standby_to,
            outcome: pool.outcome.as_ref().map(|o| OutcomeShape { state: o.state, message: &o.message }),
        }
    }
}

impl<'a> InputShape<'a> {
    fn new(input: &'a Input) -> InputShape<'a> {
        InputShape {
            signal: &input.signal,
            labels: Object(&input.labels),
            value: input.value,
            age_seconds: input.age.map(Span::as_seconds),
            coverage: input.coverage,
            kind: input.kind,
        }
    }
}

impl<'a> StageRecordShape<'a> {
    fn new(stage: &'a StageRecord) -> StageRecordShape<'a> {
        StageRecordShape {
            name: &stage.name,
            policy: &stage.policy,
            digest: present(&stage.digest),
            targets: &stage.targets,
            reason: &stage.reason,
            notes: Object(&stage.notes),
            log: &stage.log,
            error: stage.error.as_ref(),
            shadow: stage.shadow.as_ref().map(|shadow| ShadowShape {
                policy: &shadow.policy,
                digest: present(&shadow.digest),
                targets: &shadow.targets,
                reason: &shadow.reason,
                error: shadow.error.as_ref(),
            }),
        }
    }
}

impl<'a> StepShape<'a> {
    fn new(step: &'a Step) -> StepShape<'a> {
        StepShape {
            rule: step.rule,
            pool: &step.pool,
            from: step.from,
            to: step.to,
            standby_from: step.standby_from,
            standby_to: step.standby_to,
            why: &step.why,
        }
    }
}
