//! Who may hold how many GPUs, over all workloads.
//!
//! For: budgets. This version grants every wish, and keeps what was granted, so that budgets have a place to stand. Never
//! takes away what a pool holds: a scale-down returns its grant when the GPUs are really released.

use std::collections::BTreeMap;

use crate::config::WorkloadId;
use crate::decision::{Grant, PoolGrant, Wants};

/// Holds the grants of all workloads.
#[derive(Debug, Default)]
pub struct Arbiter {
    /// GPUs granted, by workload: the greater of what is held and what was asked for.
    granted: BTreeMap<WorkloadId, u64>,
}

impl Arbiter {
    /// No grants yet.
    #[must_use]
    pub fn new() -> Self {
        Arbiter::default()
    }

    /// Answers one workload's wants.
    pub fn grant(&mut self, id: &WorkloadId, wants: &Wants) -> Grant {
        let gpus = wants
            .pools
            .iter()
            .map(|p| u64::from(p.gpus_per_replica) * u64::from(p.holds.max(p.serving.saturating_add(p.standby))));
        self.granted.insert(id.clone(), gpus.sum());
        Grant {
            pools: wants
                .pools
                .iter()
                .map(|p| PoolGrant { pool: p.pool.clone(), replicas: None, why: String::new() })
                .collect(),
        }
    }

    /// A workload that is gone holds nothing.
    pub fn release(&mut self, id: &WorkloadId) {
        self.granted.remove(id);
    }

    /// GPUs granted to a workload.
    #[must_use]
    pub fn granted(&self, id: &WorkloadId) -> u64 {
        self.granted.get(id).copied().unwrap_or(0)
    }
}
