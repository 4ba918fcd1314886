//! Replicas in memory only: what is asked is true at once.
//!
//! For: trying policies without running anything. The count is remembered over a restart, as a count of real replicas
//! would be. Has no standby tier, and never starts anything.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trimtab_control::config::WorkloadId;
use trimtab_control::decision::Action;
use trimtab_control::sample::{PoolReport, Replica, ReplicaState};
use trimtab_control::time::Time;

use super::{BoxFuture, DryRunSpec, Endpoint, Target, TargetError, TargetReport};
use crate::clock::Clock;
use crate::store::{Record, Store};

/// How long a change waits for the disk.
const DISK_PATIENCE: Duration = Duration::from_secs(2);

/// The pool, with as many replicas as it had, or as the manifest says where it had none yet.
pub(super) fn connect(id: &WorkloadId, pool: &str, spec: &DryRunSpec, store: &Store, clock: &Clock) -> Arc<dyn Target> {
    let key = format!("{id}/{pool}");
    let kept = store.record(Record::DryRun, &key).unwrap_or_else(|error| {
        tracing::warn!(%error, "a dry-run pool starts anew");
        None
    });
    let now = clock.now();
    Arc::new(DryRun {
        since: Mutex::new(vec![now; kept.unwrap_or(spec.replicas) as usize]),
        name: format!("{}-{pool}", id.name),
        pool: pool.into(),
        endpoints: spec.endpoints.iter().map(|url| url.trim_end_matches('/').to_owned()).collect(),
        key,
        store: store.clone(),
        clock: clock.clone(),
    })
}

struct DryRun {
    pool: Arc<str>,
    name: String,
    endpoints: Vec<String>,
    key: String,
    store: Store,
    clock: Clock,
    /// Of each replica, in the order of their numbers.
    since: Mutex<Vec<Time>>,
}

impl DryRun {
    fn lock(&self) -> MutexGuard<'_, Vec<Time>> {
        // Changed by one call that cannot panic half way.
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replica(&self, number: usize) -> Arc<str> {
        format!("{}-{number}", self.name).into()
    }

    fn addresses(&self) -> Vec<Endpoint> {
        let endpoint = |(number, url): (usize, &String)| Endpoint {
            pool: self.pool.clone(),
            replica: self.replica(number),
            url: url.clone(),
            serving: true,
        };
        self.endpoints.iter().enumerate().take(self.lock().len()).map(endpoint).collect()
    }

    fn replicas(&self) -> Vec<Replica> {
        let replica = |(number, since): (usize, &Time)| Replica {
            id: self.replica(number),
            state: ReplicaState::Ready,
            since: *since,
            restarting: false,
        };
        let mut replicas: Vec<Replica> = self.lock().iter().enumerate().map(replica).collect();
        replicas.sort_by(|a, b| a.id.cmp(&b.id));
        replicas
    }
}

impl Target for DryRun {
    fn report(&self) -> BoxFuture<'_, Result<TargetReport, TargetError>> {
        let replicas = self.replicas();
        let report = PoolReport {
            pool: self.pool.clone(),
            at: self.clock.now(),
            desired: replicas.len() as u32,
            standby: 0,
            can_standby: false,
            rolling_out: false,
            replicas,
        };
        let report = TargetReport { report, endpoints: self.addresses(), notes: Vec::new() };
        Box::pin(std::future::ready(Ok(report)))
    }

    fn apply<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move {
            self.store.put(Record::DryRun, &self.key, &action.serving);
            // Where the disk takes nothing, the store says so; the count is then remembered as long as the daemon runs.
            let _ = tokio::time::timeout(DISK_PATIENCE, self.store.flush()).await;
            // The highest numbers come and go, whatever is named to go first: all replicas are alike.
            self.lock().resize(action.serving as usize, self.clock.now());
            Ok(())
        })
    }

    fn endpoints(&self) -> BoxFuture<'_, Vec<Endpoint>> {
        Box::pin(std::future::ready(self.addresses()))
    }
}
