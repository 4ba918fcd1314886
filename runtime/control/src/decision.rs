//! Wants, grants, decisions and outcomes: what leaves the controller, and what comes back.
//!
//! For: complete, immutable values that leave the executor no choices and explain themselves. Serialised as users see
//! them (surface names, instants in Unix milliseconds; the admin port writes them as RFC 3339). Never computed here.

use serde::{Deserialize, Serialize};

use crate::policy::{LogLine, Target, Tier};
use crate::sample::Labels;
use crate::time::{Span, Time};

/// What a workload asks the arbiter for: the guardrails up to rate have been applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants {
    /// One per pool, in the manifest's order.
    pub pools: Vec<PoolWant>,
}

/// What one pool asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolWant {
    /// The pool's name.
    pub pool: String,
    /// Replicas that hold GPUs now (serving, standby, draining).
    pub holds: u32,
    /// Serving replicas wanted.
    pub serving: u32,
    /// Standby replicas wanted.
    pub standby: u32,
    /// GPUs of one replica.
    pub gpus_per_replica: u32,
}

/// What the arbiter allows: most replicas (serving + standby) per pool, in the order of the wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// One per pool.
    pub pools: Vec<PoolGrant>,
}

/// The most one pool may hold. Never below what it holds already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolGrant {
    /// The pool's name.
    pub pool: String,
    /// Serving + standby. None: unlimited.
    pub replicas: Option<u32>,
    /// Why it is limited, for the recorded step.
    pub why: String,
}

/// Which rule a step belongs to, in the order they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Nothing changes while a person has paused the workload.
    Pause,
    /// A person's number.
    Override,
    /// The floor that a wake raised.
    Wake,
    /// Minimum and maximum.
    Bounds,
    /// Never down on bad data.
    Staleness,
    /// Never down soon after an increase.
    Cooldown,
    /// Step limits.
    Rate,
    /// A pool's decrease waits for the other's replicas.
    Shift,
    /// Increases of a group are whole or not at all.
    Group,
    /// Nothing is scaled down during a roll-out.
    Rollout,
    /// The GPU grant.
    Budget,
    /// The independent check; a violation holds.
    Check,
}

/// One rule looked at one pool: what came in, what went out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// The pool's name.
    pub pool: String,
    /// Serving replicas before the rule.
    pub from: u32,
    /// Serving replicas after it; equal to `from` where the rule did not bite.
    pub to: u32,
    /// Standby replicas before the rule.
    pub standby_from: u32,
    /// Standby replicas after it.
    pub standby_to: u32,
    /// One line for a person.
    pub why: String,
}

/// How good an input was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// All good.
    Fresh,
    /// Older than `staleAfter`.
    Stale,
    /// Never seen, or gone.
    Missing,
    /// Coverage below `minCoverage`.
    Partial,
    /// A counter began again; the value is good.
    Reset,
    /// A frozen page, or a jump no engine can make.
    Suspicious,
}

/// One series as the decision saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The signal.
    pub signal: String,
    /// What it was asked `by`.
    pub labels: Labels,
    /// Newest value; none: missing.
    pub value: Option<f64>,
    /// Since the newest good sample; none: never.
    pub age: Option<Span>,
    /// 0 to 1.
    pub coverage: f64,
    /// How good.
    pub kind: InputKind,
}

/// What one stage did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageRecord {
    /// The stage's name.
    pub name: String,
    /// The policy that answered (the fallback's name where that did).
    pub policy: String,
    /// Its digest; empty when none is loaded.
    pub digest: String,
    /// The proposal after this stage, per pool and tier.
    pub targets: Vec<Target>,
    /// The policy's reason.
    pub reason: String,
    /// The policy's notes.
    pub notes: Vec<(String, String)>,
    /// What it logged.
    pub log: Vec<LogLine>,
    /// Why it gave no answer: code and message.
    pub error: Option<crate::policy::Fault>,
    /// What another policy would have done in its place.
    pub shadow: Option<ShadowRecord>,
}

/// What a policy that is never followed said to the same observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowRecord {
    /// The policy.
    pub policy: String,
    /// Its digest; empty when none is loaded.
    pub digest: String,
    /// What the proposal after this stage would have been.
    pub targets: Vec<Target>,
    /// The policy's reason.
    pub reason: String,
    /// Why it gave no answer: code and message.
    pub error: Option<crate::policy::Fault>,
}

/// What happened to one pool's part of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeState {
    /// Nothing was asked: the pool is as decided.
    Unchanged,
    /// The target took it.
    Applied,
    /// The actuator only observes.
    Observed,
    /// The target said no, for good.
    Refused,
    /// The target could not be asked, or did not answer.
    Failed,
    /// A newer decision took its place before it was asked.
    Superseded,
    /// A configuration, module or check made it void before it was asked.
    Dropped,
}

/// The result of one action, fed back into the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which decision.
    pub decision: String,
    /// Which pool.
    pub pool: String,
    /// What happened.
    pub state: OutcomeState,
    /// One line, may be empty.
    pub message: String,
}

/// What a decision means for one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolDecision {
    /// The pool's name.
    pub name: String,
    /// Serving replicas asked for until now.
    pub from: u32,
    /// Serving replicas from now on.
    pub to: u32,
    /// Standby replicas until now.
    pub standby_from: u32,
    /// Standby replicas from now on.
    pub standby_to: u32,
    /// None until the target has answered.
    pub outcome: Option<PoolOutcome>,
}

/// What the target answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolOutcome {
    /// What happened.
    pub state: OutcomeState,
    /// One line, may be empty.
    pub message: String,
}

/// One tick's result: complete, ordered, explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Unique per workload: generation, instant and a running number.
    pub id: String,
    /// When.
    pub at: Time,
    /// The configuration it came from.
    pub generation: u64,
    /// One per pool, in the manifest's order.
    pub pools: Vec<PoolDecision>,
    /// Every series the chain was given.
    pub inputs: Vec<Input>,
    /// One per stage.
    pub stages: Vec<StageRecord>,
    /// One per rule and pool that the rule looked at.
    pub guardrails: Vec<Step>,
    /// Ask again at this instant rather than after the interval.
    pub recheck_at: Option<Time>,
    /// The pools' replicas that are silent or failed, to be removed first on a scale-down, per pool.
    pub remove_first: Vec<(String, Vec<String>)>,
}

/// What the target of one pool is asked. `serving` and `standby` are totals, so that asking twice is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The decision it came from.
    pub decision: String,
    /// The configuration it came from.
    pub generation: u64,
    /// The pool's name.
    pub pool: String,
    /// Serving replicas wanted.
    pub serving: u32,
    /// Standby replicas wanted.
    pub standby: u32,
    /// Replicas to take away first, by id.
    pub remove_first: Vec<String>,
    /// One line for logs and the target's own records.
    pub reason: String,
}

impl Decision {
    /// What has to be asked: the pools whose numbers change.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let reason = self.reason();
        self.pools
            .iter()
            .filter(|p| p.from != p.to || p.standby_from != p.standby_to)
            .map(|p| Action {
                decision: self.id.clone(),
                generation: self.generation,
                pool: p.name.clone(),
                serving: p.to,
                standby: p.standby_to,
                remove_first: self
                    .remove_first
                    .iter()
                    .find(|(n, _)| *n == p.name)
                    .map(|(_, r)| r.clone())
                    .unwrap_or_default(),
                reason: reason.clone(),
            })
            .collect()
    }

    /// One line: the reason of the stage that made the number, and the guardrails that bit.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut line = self.maker().map_or_else(String::new, |stage| format!("{}: {}", stage.name, stage.reason));
        for step in self.guardrails.iter().filter(|s| s.from != s.to || s.standby_from != s.standby_to) {
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.push_str(&step.why);
        }
        line
    }

    /// The last stage that changed the proposal.
    fn maker(&self) -> Option<&StageRecord> {
        let asked = |target: &Target| {
            let pool = self.pools.iter().find(|pool| pool.name == target.pool);
            pool.map_or(0, |pool| match target.tier {
                Tier::Serving => pool.from,
                Tier::Standby => pool.standby_from,
                Tier::Headroom => 0,
            })
        };
        let changed = |index: usize| match index.checked_sub(1).and_then(|before| self.stages.get(before)) {
            Some(before) => before.targets != self.stages[index].targets,
            None => self.stages[index].targets.iter().any(|target| target.replicas != asked(target)),
        };
        let mut speaking = (0..self.stages.len()).rev().filter(|index| !self.stages[*index].reason.is_empty());
        speaking.find(|index| changed(*index)).and_then(|index| self.stages.get(index))
    }

    /// True when any pool's numbers change.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.pools.iter().any(|p| p.from != p.to || p.standby_from != p.standby_to)
    }
}
