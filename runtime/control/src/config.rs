//! What a workload was configured to be: already checked, defaults filled in.
//!
//! For: the controller's fixed inputs. Made in one place (the manifest reader); never parsed or defaulted here.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::{Call, Fault, Observation, Policy, Preparation};
use crate::sample::Labels;
use crate::saved::Slot;
use crate::time::Span;

/// Namespace (the tenant) and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkloadId {
    /// The tenant.
    pub namespace: String,
    /// Unique within the namespace.
    pub name: String,
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadConfig {
    /// Who it is.
    pub id: WorkloadId,
    /// Grows with every change of the manifest; a decision of an older one is dropped.
    pub generation: u64,
    /// Between two decisions, 1 s to 1 h.
    pub interval: Span,
    /// From the manifest.
    pub attributes: Labels,
    /// At least one, names unique, in the manifest's order.
    pub pools: Vec<PoolConfig>,
    /// The pipeline, in order, names unique.
    pub stages: Vec<StageConfig>,
    /// The rules no policy can reach.
    pub guardrails: Guardrails,
}

/// One pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolConfig {
    /// Unique within the workload.
    pub name: String,
    /// Pools of one group are granted and woken together.
    pub group: Option<String>,
    /// Lower bound. 0 only with `zero`.
    pub min: u32,
    /// Upper bound on serving + standby, at least 1.
    pub max: u32,
    /// The grant to go to zero.
    pub zero: Option<ZeroGrant>,
    /// GPUs one replica holds.
    pub gpus_per_replica: u32,
    /// Price of one replica.
    pub price_per_hour: Option<f64>,
    /// Expected start-up time until three starts were measured.
    pub startup: Span,
    /// From the manifest.
    pub attributes: Labels,
}

/// Permission to scale to zero, and the way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZeroGrant {
    /// The chain has proposed 0 and queue-depth + active-sequences were 0, not missing, for so long.
    pub after: Span,
    /// What wakes the pool: a signal above a value. Empty: the wake verb alone.
    pub wake_on: Vec<WakeRule>,
    /// The floor that a wake raises.
    pub wake_replicas: u32,
    /// For how long a wake holds the floor.
    pub hold: Span,
}

/// A signal that wakes a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WakeRule {
    /// Canonical or own name; must come from a source that outlives the replicas.
    pub signal: String,
    /// Strictly above this.
    pub above: f64,
}

/// How a stage's proposal merges with the one before it, per pool and tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// The stage's own.
    Replace,
    /// The greater.
    Max,
    /// The smaller.
    Min,
}

/// What happens when a stage gives no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OnFailure {
    /// The stage is skipped and this tick may not go down.
    NoDown,
    /// Nothing changes this tick.
    Hold,
    /// The stage is skipped.
    Skip,
    /// Another policy takes its place, with a state of its own; if that fails too, `NoDown`.
    Fallback(Box<ModuleRef>),
}

/// Which policy, configured how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleRef {
    /// Name of the module.
    pub policy: String,
    /// JSON text.
    pub config: String,
    /// `sha256:HEX` it must have.
    pub digest: Option<String>,
}

/// One stage of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageConfig {
    /// Unique in the chain.
    pub name: String,
    /// What runs.
    pub module: ModuleRef,
    /// How it merges.
    pub combine: Combine,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Also asked, on the same inputs; recorded, compared, and never followed.
    pub shadow: Option<ModuleRef>,
}

impl StageConfig {
    /// Which policy belongs into a slot.
    #[must_use]
    pub fn module_for(&self, slot: Slot) -> Option<&ModuleRef> {
        match (slot, &self.on_failure) {
            (Slot::Stage, _) => Some(&self.module),
            (Slot::Fallback, OnFailure::Fallback(module)) => Some(module),
            (Slot::Fallback, _) => None,
            (Slot::Shadow, _) => self.shadow.as_ref(),
        }
    }

    /// Every slot that has a policy.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, &ModuleRef)> {
        Slot::ALL.into_iter().filter_map(|slot| Some((slot, self.module_for(slot)?)))
    }
}

/// A policy ready to be called, for one stage (or its fallback) of one workload.
#[derive(Clone, Serialize, Deserialize)]
pub struct Module {
    /// Called synchronously. Not written down: whoever reads a module back finds it by its digest.
    #[serde(skip, default = "absent")]
    pub policy: Arc<dyn Policy>,
    /// `sha256:HEX` of the file as dropped.
    pub digest: String,
    /// What it needs for this stage's config.
    pub preparation: Preparation,
    /// A stored state of another version is not passed.
    pub state_version: u32,
}

/// What stands behind a module that was read back, until it is found.
struct Absent;

impl Policy for Absent {
    fn decide(&self, _config: &str, _observation: &Observation, _state: &[u8]) -> Call {
        let message = "its module is not there".to_owned();
        Call { answer: Err(Fault { code: "not-loaded".to_owned(), message }), log: Vec::new(), bounds: Vec::new() }
    }
}

pub(crate) fn absent() -> Arc<dyn Policy> {
    Arc::new(Absent)
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("digest", &self.digest)
            .field("preparation", &self.preparation)
            .finish_non_exhaustive()
    }
}

/// A limit on a step: so many replicas, or a percent of those at the start of the sliding `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Replicas.
    Count(u32),
    /// Percent, rounded down, at least 1 replica.
    Percent(u32),
}

/// At most `max_step` within each sliding `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// The step.
    pub max_step: Step,
    /// The sliding window.
    pub per: Span,
}

/// The rules no policy can reach; defaults are the manifest reader's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guardrails {
    /// A replica's newest good sample counts for so long. None: three times the greater of interval and source period.
    pub stale_after: Option<Span>,
    /// Scale-down needs at least this coverage of every series in use, 0 to 1.
    pub min_coverage: f64,
    /// A replica without a good sample for so long leaves the count. None: the greater of 10 min and twice stale_after.
    pub silent_after: Option<Span>,
    /// None: no limit on scale-up.
    pub scale_up: Option<Rate>,
    /// Limit on scale-down.
    pub scale_down: Rate,
    /// No scale-down within so long of the pool's last accepted increase.
    pub cooldown: Span,
}

impl Guardrails {
    /// The effective `stale_after` for sources read every `period`, at a tick every `interval`.
    #[must_use]
    pub fn stale_after(&self, interval: Span, period: Span) -> Span {
        self.stale_after.unwrap_or(Span(interval.max(period).0.saturating_mul(3)))
    }

    /// The effective `silent_after`.
    #[must_use]
    pub fn silent_after(&self, interval: Span, period: Span) -> Span {
        self.silent_after.unwrap_or(Span(600_000.max(self.stale_after(interval, period).0.saturating_mul(2))))
    }
}
