//! The admin port's JSON, as far as verbs show it.
//!
//! For: reading what a daemon of this or a later version answers: unknown fields are ignored, missing ones are empty.
//! Never used to write: `-o json` passes the daemon's own text on.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::failure::Problem;

/// `null` as the default value.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// `GET /v1/workloads`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Workloads {
    pub(crate) workloads: Vec<WorkloadStatus>,
    /// Manifests in trouble, where an older one may be in force.
    pub(crate) problems: Vec<Problem>,
}

/// One workload.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct WorkloadStatus {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) pools: Vec<PoolStatus>,
    pub(crate) policies: Vec<StagePolicy>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) last_decision: String,
}

/// One condition, as Kubernetes writes them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) reason: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) message: String,
}

/// One pool's counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PoolStatus {
    pub(crate) name: String,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) desired: u32,
    pub(crate) ready: u32,
    pub(crate) starting: u32,
    pub(crate) draining: u32,
    pub(crate) standby: u32,
}

/// One stage's module.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StagePolicy {
    pub(crate) name: String,
    pub(crate) policy: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) digest: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) source: String,
    pub(crate) state: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) message: String,
}

/// `GET …/decisions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Decisions {
    pub(crate) decisions: Vec<DecisionStory>,
}

/// One decision with all that led to it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DecisionStory {
    pub(crate) id: String,
    pub(crate) at: String,
    pub(crate) pools: Vec<PoolStep>,
    pub(crate) inputs: Vec<InputStory>,
    pub(crate) stages: Vec<StageStory>,
    pub(crate) guardrails: Vec<Guardrail>,
}

/// What a decision meant for one pool.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PoolStep {
    pub(crate) name: String,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) standby_from: u32,
    pub(crate) standby_to: u32,
    pub(crate) outcome: Option<OutcomeStory>,
}

/// What the target answered.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OutcomeStory {
    pub(crate) state: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) message: String,
}

/// One input as the decision saw it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct InputStory {
    pub(crate) signal: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: Option<f64>,
    pub(crate) age_seconds: Option<f64>,
    pub(crate) coverage: Option<f64>,
    pub(crate) kind: String,
}

/// What one stage did.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StageStory {
    pub(crate) name: String,
    pub(crate) policy: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) digest: String,
    pub(crate) targets: Vec<TargetStory>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) reason: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) log: Vec<LogStory>,
    pub(crate) error: Option<FaultStory>,
    pub(crate) shadow: Option<ShadowStory>,
}

/// What a policy that is never followed said in a stage's place.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ShadowStory {
    pub(crate) policy: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) digest: String,
    pub(crate) targets: Vec<TargetStory>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) reason: String,
    pub(crate) error: Option<FaultStory>,
}

/// One number of a proposal.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct TargetStory {
    pub(crate) pool: String,
    pub(crate) tier: String,
    pub(crate) replicas: u32,
}

/// One log line of a policy: a text, or a level and a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum LogStory {
    /// A plain line.
    Text(String),
    /// With its level.
    Levelled { level: String, message: String },
}

/// Why a stage gave no answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FaultStory {
    pub(crate) code: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) message: String,
}

/// One rule that looked at one pool.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Guardrail {
    pub(crate) rule: String,
    pub(crate) pool: String,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) standby_from: u32,
    pub(crate) standby_to: u32,
    #[serde(deserialize_with = "nullable")]
    pub(crate) why: String,
}

/// `GET /v1/policies`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Policies {
    pub(crate) policies: Vec<PolicyStatus>,
}

/// One module that the daemon knows.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PolicyStatus {
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) tenant: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) digest: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) source: String,
    pub(crate) state: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) message: String,
    pub(crate) used_by: Vec<String>,
}

/// The answer to an order: what was done, in a line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) message: String,
}
