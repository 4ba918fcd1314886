//! What a workload is now, for people and for `status`.
//!
//! For: conditions, counts and faults in one plain value. Never changes anything.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// Every pool has what was asked for.
    Ready,
    /// Every stage has a module, and none failed to load.
    PoliciesLoaded,
    /// No series that the chain uses is stale, missing, partial or suspicious.
    MetricsFresh,
    /// A guardrail changed what the policies proposed.
    ScalingLimited,
    /// Something else changed the number of replicas.
    Conflict,
    /// A person has paused the workload.
    Paused,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: bool,
    /// One word in CamelCase, stable.
    pub reason: String,
    /// One line for a person.
    pub message: String,
}

/// One pool's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// The pool's name.
    pub name: String,
    /// Lower bound.
    pub min: u32,
    /// Upper bound.
    pub max: u32,
    /// Serving replicas last asked for.
    pub desired: u32,
    /// Serving now.
    pub ready: u32,
    /// On their way, without stuck ones.
    pub starting: u32,
    /// Finishing.
    pub draining: u32,
    /// Standing by.
    pub standby: u32,
    /// Later than twice the measured p90.
    pub stuck: u32,
    /// Given up by the target.
    pub failed: u32,
    /// Replicas that serve and have given no good sample for `silentAfter`.
    pub silent: Vec<String>,
    /// When the target last answered; none: never.
    pub reported_at: Option<Time>,
    /// Median measured start-up time in milliseconds (the manifest's until three were measured).
    pub startup_p50_ms: u64,
    /// 90th percentile likewise.
    pub startup_p90_ms: u64,
}

/// How a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageState {
    /// Its module is loaded and answered last time.
    Ok,
    /// A newer module was refused; the last good one serves on.
    LastGood,
    /// No module, or its last call gave no answer.
    Failed,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStatus {
    /// The stage's name.
    pub name: String,
    /// The module's name.
    pub policy: String,
    /// Its digest; empty when none is loaded.
    pub digest: String,
    /// How it stands.
    pub state: StageState,
    /// Why, where it is not `Ok`.
    pub message: String,
}

/// One workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The tenant.
    pub namespace: String,
    /// The workload's name.
    pub name: String,
    /// One of each type.
    pub conditions: Vec<Condition>,
    /// In the manifest's order.
    pub pools: Vec<PoolStatus>,
    /// In the chain's order.
    pub policies: Vec<StageStatus>,
    /// Id of the newest decision.
    pub last_decision: Option<String>,
}
