//! The seam to policies: what they are asked, what they answer, how they fail.
//!
//! For: everything that decides (a Wasm module, a native policy in a test) stands behind `Policy`. The records mirror
//! `wit/policy.wit`, which documents units and ranges. Never runs anything: that is `pipeline`'s.

use serde::{Deserialize, Serialize};

use crate::sample::Labels;
use crate::time::{Span, Time};

/// Where replicas stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Started and taking requests, or on the way there.
    Serving,
    /// Started, holding GPUs, serving nothing, awake in seconds.
    Standby,
    /// Room kept free on nodes; no replica.
    Headroom,
}

impl Tier {
    /// The name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Serving => "serving",
            Tier::Standby => "standby",
            Tier::Headroom => "headroom",
        }
    }

    /// The tier of that name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Tier> {
        [Tier::Serving, Tier::Standby, Tier::Headroom].into_iter().find(|t| t.as_str() == name)
    }
}

/// A number of replicas for one tier of one pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The pool's name.
    pub pool: String,
    /// The tier.
    pub tier: Tier,
    /// Replicas.
    pub replicas: u32,
}

/// One signal on a regular grid; see the WIT record `series`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Canonical or source's own name.
    pub signal: String,
    /// What it was asked `by`.
    pub labels: Labels,
    /// The grid.
    pub step: Span,
    /// Oldest first; a missing step is NaN. Empty: never seen.
    pub values: Vec<f64>,
    /// Since the newest good sample.
    pub age: Span,
    /// 0 to 1.
    pub coverage: f64,
}

/// One pool as a policy sees it; see the WIT record `pool`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Unique within the workload.
    pub name: String,
    /// Enforced lower bound on serving.
    pub min: u32,
    /// Enforced upper bound on serving + standby.
    pub max: u32,
    /// Serving replicas last asked for.
    pub desired: u32,
    /// Taking requests now.
    pub ready: u32,
    /// On their way, without stuck ones.
    pub starting: u32,
    /// Finishing.
    pub draining: u32,
    /// Standing by.
    pub standby: u32,
    /// Headroom on nodes, replicas.
    pub headroom: u32,
    /// Expected arrival of each starting replica, soonest first.
    pub ready_at: Vec<Time>,
    /// Replicas that could be added; none: unknown.
    pub obtainable: Option<u32>,
    /// Open numbers.
    pub facts: Vec<(String, f64)>,
    /// Open texts.
    pub attributes: Labels,
}

/// What a policy sees of one workload at one instant; see the WIT record `observation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The instant of the decision.
    pub now: Time,
    /// Time between two decisions.
    pub interval: Span,
    /// The workload's name.
    pub workload: String,
    /// In the manifest's order.
    pub pools: Vec<Pool>,
    /// In the order of the needs.
    pub series: Vec<Series>,
    /// The proposal so far.
    pub proposed: Vec<Target>,
    /// Open numbers.
    pub facts: Vec<(String, f64)>,
    /// Open texts.
    pub attributes: Labels,
}

/// What a policy answers; see the WIT record `decision`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answer {
    /// What is not named keeps the proposal it came with.
    pub targets: Vec<Target>,
    /// One line for a person, already cut and escaped by whoever called the policy.
    pub reason: String,
    /// The numbers behind it, cut and escaped likewise.
    pub notes: Vec<(String, String)>,
    /// None: unchanged.
    pub state: Option<Vec<u8>>,
    /// Ask again sooner than the interval.
    pub recheck: Option<Span>,
}

/// One input a policy asks for; see the WIT record `metric-need`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricNeed {
    /// Canonical or source's own name.
    pub signal: String,
    /// Labels to keep apart.
    pub by: Vec<String>,
    /// "last", "mean", "max", "rate" or "".
    pub within: String,
    /// "sum", "mean", "max", "min", "p1".."p99" or "".
    pub across: String,
    /// 0: the interval.
    pub step: Span,
    /// 0: the newest value only.
    pub window: Span,
    /// Without it the policy cannot answer.
    pub required: bool,
}

/// What a policy needs for one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preparation {
    /// At most 32.
    pub needs: Vec<MetricNeed>,
    /// Open texts.
    pub attributes: Labels,
}

/// How severe a guest's log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Something is off.
    Warn,
    /// Something failed.
    Error,
}

/// One line of a guest's log, cut at 1 KiB and escaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Severity.
    pub level: Level,
    /// Text without control characters.
    pub message: String,
}

/// Why a call gave no answer. The code is stable text: `trap`, `stack`, `timeout`, `memory`, `too-complex`, `bad-answer`,
/// `answer-too-large`, `state-too-large`, `bad-config`, `missing-metric`, `bad-state`, `other` (what the policy itself
/// refused), `not-loaded`, `breaker-open`, `host`, `observation-too-large`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// One of the codes above.
    pub code: String,
    /// What happened, and the fix where one is known; escaped and at most 1 KiB.
    pub message: String,
}

/// A bound that a call ran into. Some end the call with a fault, some only cut what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// CPU time of instantiation.
    StartCpu,
    /// CPU time of the call.
    CallCpu,
    /// Wall time of both: the host was too slow.
    CallWall,
    /// Memories and tables.
    Memory,
    /// Depth of calls.
    Stack,
    /// Number of instances, memories, tables or handles.
    Complexity,
    /// Bytes handed over in one piece.
    Lifted,
    /// Bytes of state.
    State,
    /// Bytes of the reason or message; cut.
    Reason,
    /// Number or bytes of notes; cut.
    Notes,
    /// Number or bytes of log lines; cut.
    Log,
    /// Series or values of an observation: the host gathered too much.
    Observation,
}

impl Limit {
    /// The name in metrics and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::StartCpu => "start-cpu",
            Limit::CallCpu => "call-cpu",
            Limit::CallWall => "call-wall",
            Limit::Memory => "memory",
            Limit::Stack => "stack",
            Limit::Complexity => "complexity",
            Limit::Lifted => "lifted",
            Limit::State => "state",
            Limit::Reason => "reason",
            Limit::Notes => "notes",
            Limit::Log => "log",
            Limit::Observation => "observation",
        }
    }
}

/// One call of a policy: its answer or fault, what it logged, and what it ran into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The answer, or why there is none.
    pub answer: Result<Answer, Fault>,
    /// At most 64 lines.
    pub log: Vec<LogLine>,
    /// Each bound that it ran into, once. For counting: no decision depends on it, and none keeps it.
    pub bounds: Vec<Limit>,
}

/// Something that decides. Pure: same arguments, same answer. Called from one thread at a time per workload, and from
/// several for several workloads.
pub trait Policy: Send + Sync {
    /// One decision for this configuration (JSON text), observation and state.
    fn decide(&self, config: &str, observation: &Observation, state: &[u8]) -> Call;
}
