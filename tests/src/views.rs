//! The admin port's JSON as it is promised: a field that is missing fails to be read.
//!
//! For: tests that read what programs read. Further fields may be there and are not looked at.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `GET /v1/workloads`.
#[derive(Debug, Clone, Deserialize)]
pub struct Workloads {
    /// All of them.
    pub workloads: Vec<Workload>,
}

/// One workload.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// The tenant.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// As Kubernetes writes them.
    pub conditions: Vec<Condition>,
    /// In the manifest's order.
    pub pools: Vec<Pool>,
    /// One a stage.
    pub policies: Vec<Stage>,
    /// The id of the newest decision.
    pub last_decision: Option<String>,
}

impl Workload {
    /// A condition by its type.
    #[track_caller]
    pub fn condition(&self, kind: &str) -> &Condition {
        self.conditions.iter().find(|c| c.kind == kind).unwrap_or_else(|| panic!("no condition {kind}: {self:?}"))
    }

    /// A pool by its name.
    #[track_caller]
    pub fn pool(&self, name: &str) -> &Pool {
        self.pools.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no pool {name}: {self:?}"))
    }

    /// A stage by its name.
    #[track_caller]
    pub fn stage(&self, name: &str) -> &Stage {
        self.policies.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no stage {name}: {self:?}"))
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// For a person.
    pub message: String,
}

/// One pool's counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)] // the manifest's and the target's words
pub struct Pool {
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub ready: u32,
    pub starting: u32,
    pub draining: u32,
    pub standby: u32,
}

/// What serves a stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Stage {
    pub name: String,
    pub policy: String,
    pub digest: Option<String>,
    pub source: Option<String>,
    pub state: String,
    pub message: Option<String>,
}

/// `GET …/decisions`.
#[derive(Debug, Clone, Deserialize)]
pub struct Decisions {
    /// Newest first.
    pub decisions: Vec<Decision>,
}

/// One decision with all that led to it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Decision {
    pub id: String,
    pub at: String,
    pub pools: Vec<PoolStep>,
    pub inputs: Vec<Input>,
    pub stages: Vec<StageStory>,
    pub guardrails: Vec<Guardrail>,
}

impl Decision {
    /// Whether a pool gets fewer serving replicas.
    pub fn goes_down(&self) -> bool {
        self.pools.iter().any(|pool| pool.to < pool.from)
    }

    /// Whether a pool gets more.
    pub fn goes_up(&self) -> bool {
        self.pools.iter().any(|pool| pool.to > pool.from)
    }

    /// The input of that signal, where the chain asks for it without labels.
    pub fn input(&self, signal: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.signal == signal)
    }

    /// The rules of that name that changed something.
    pub fn bites(&self, rule: &str) -> Vec<&Guardrail> {
        self.guardrails.iter().filter(|g| g.rule == rule && g.from != g.to).collect()
    }

    /// What a stage proposed for a pool's serving tier.
    pub fn proposal(&self, stage: &str, pool: &str) -> Option<u32> {
        let stage = self.stages.iter().find(|s| s.name == stage)?;
        stage.targets.iter().find(|t| t.pool == pool && t.tier == "serving").map(|t| t.replicas)
    }
}

/// What a decision meant for one pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct PoolStep {
    pub name: String,
    pub from: u32,
    pub to: u32,
    pub standby_from: u32,
    pub standby_to: u32,
    pub outcome: Option<Outcome>,
}

/// What the target answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Outcome {
    pub state: String,
    pub message: String,
}

/// One series as the decision saw it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Input {
    pub signal: String,
    pub labels: BTreeMap<String, String>,
    pub value: Option<f64>,
    pub age_seconds: Option<f64>,
    pub coverage: f64,
    pub kind: String,
}

/// What one stage did.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct StageStory {
    pub name: String,
    pub policy: String,
    pub digest: String,
    pub targets: Vec<Target>,
    pub reason: String,
    pub notes: BTreeMap<String, String>,
    pub log: Vec<Value>,
    pub error: Option<StageError>,
}

/// One number of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Target {
    pub pool: String,
    pub tier: String,
    pub replicas: u32,
}

/// Why a stage gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct StageError {
    pub code: String,
    pub message: String,
}

/// One rule that looked at one pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Guardrail {
    pub rule: String,
    pub pool: String,
    pub from: u32,
    pub to: u32,
    pub why: String,
}

/// `GET /v1/policies`.
#[derive(Debug, Clone, Deserialize)]
pub struct Policies {
    /// Every name.
    pub policies: Vec<Policy>,
}

/// One module that the daemon knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Policy {
    pub name: String,
    pub tenant: Option<String>,
    pub digest: Option<String>,
    pub source: Option<String>,
    pub state: String,
    pub message: Option<String>,
    pub description: Value,
    pub used_by: Vec<String>,
}

/// What `check -o json` and `policy check -o json` answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Problems {
    /// Empty: nothing is wrong.
    pub problems: Vec<Problem>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Problem {
    pub place: String,
    pub stage: String,
    pub message: String,
    pub hint: String,
}

/// One series of a page of metrics.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Reads the daemon's own page. Simple: its label values hold no quotes.
pub fn series(page: &str) -> Vec<Series> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(one).collect()
}

fn one(line: &str) -> Option<Series> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = match head.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (head, ""),
    };
    let labels = labels
        .split("\",")
        .filter_map(|pair| pair.split_once("=\""))
        .map(|(key, value)| (key.to_owned(), value.trim_end_matches('"').to_owned()))
        .collect();
    Some(Series { name: name.to_owned(), labels, value: value.parse().ok()? })
}
