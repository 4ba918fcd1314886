//! The newest report of each pool, and what it counts to.
//!
//! For: how many replicas there are in which state. Never guesses: a pool whose target has not answered is unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sample::{PoolReport, ReplicaState};
use crate::time::Time;

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Fleet {
    reports: BTreeMap<Arc<str>, PoolReport>,
}

impl Fleet {
    pub(super) fn meet(&mut self, mut report: PoolReport, now: Time) {
        report.at = report.at.min(now);
        if self.reports.get(&report.pool).is_none_or(|known| known.at <= report.at) {
            self.reports.insert(Arc::clone(&report.pool), report);
        }
    }

    pub(super) fn keep_pools(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.reports.retain(|name, _| keep(name));
    }

    pub(super) fn report(&self, pool: &str) -> Option<&PoolReport> {
        self.reports.get(pool)
    }

    /// Replicas in a state.
    pub(super) fn count(&self, pool: &str, state: ReplicaState) -> u32 {
        let replicas = self.report(pool).map_or(&[][..], |r| &r.replicas);
        replicas.iter().filter(|r| r.state == state).count() as u32
    }

    /// Replicas that hold GPUs.
    pub(super) fn holds(&self, pool: &str) -> u32 {
        let failed = self.count(pool, ReplicaState::Failed);
        self.report(pool).map_or(0, |r| (r.replicas.len() as u32).saturating_sub(failed))
    }
}
