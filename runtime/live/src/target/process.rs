//! Replicas as processes of this host (Linux): started, found again, drained, put to sleep, ended.
//!
//! For: running pools without a cluster. A replica belongs to the state directory, not to the daemon: it lives in a
//! session of its own, with a token in its environment and its output in a file, and is found again by token, number and
//! start time. What is to be started is recorded before it is. Never decides how many replicas there should be, never
//! starts or stops one because the daemon restarted, never signals a process that it did not prove to be its own.
//!
//! What users can rely on:
//! - The command stays in the foreground: when its first process ends, it is no endpoint any more, and what is left of its
//!   session (and whatever else carries its token) is asked to end, and ended after 10 s. That is one death.
//! - Once ready, a replica counts as ready until its process ends. A replica that hangs is the policies' and guardrails'
//!   to judge, by its metrics.
//! - A death is answered by a start of the same replica after 0.5 s, 1 s, 2 s and so on up to 30 s (from the beginning
//!   again once it was ready); the third within 5 minutes makes it `failed` for 5 minutes, after which it gets one try.
//! - A replica that is started (again) gets the next free port of the range, going round.
//! - A changed manifest touches nothing that runs; the next start of each replica uses it, and what had failed is tried
//!   at once. Replicas of a workload that is no longer in a manifest run on, and are found again when it comes back.

mod actor;
mod adopt;
mod call;
mod host;
mod job;
mod life;
mod log;
mod plan;
mod pool;
mod ports;
mod record;
mod replica;
mod session;
mod spawn;
#[cfg(test)]
mod tests;

pub use session::keep_files;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use trimtab_control::config::WorkloadId;
use trimtab_control::decision::Action;
use trimtab_control::time::Time;

use self::actor::{Actor, Ask, Seen, Work};
use self::pool::Pool;
use self::ports::Ports;
use self::record::Kept;
use super::{BoxFuture, Endpoint, ProcessSpec, Target, TargetError, TargetReport};
use crate::client::Client;
use crate::clock::Clock;
use crate::store::{Record, Store};

/// Asks that one pool's task has not taken yet; whoever has one more waits.
const ASKS: usize = 16;
/// For the first look for replicas; who asks meanwhile waits so long.
const PATIENCE: Duration = Duration::from_millis(250);
/// From TERM to KILL for replicas that no pool looks after.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// All pools of processes of one daemon. Clones are the same.
#[derive(Clone)]
pub struct Processes {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    client: Client,
    clock: Clock,
    ports: Arc<Ports>,
    seats: Mutex<BTreeMap<String, Seat>>,
}

/// Where one pool is looked after.
struct Seat {
    handle: Weak<Handle>,
    /// Held by the pool's task: the next one begins when the one before has ended.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// One pool, as the daemon holds it. Its task ends with the last one.
struct Handle {
    key: String,
    asks: mpsc::Sender<Ask>,
    seen: Arc<Seen>,
    work: watch::Sender<Work>,
    spec: watch::Sender<ProcessSpec>,
    /// True once its replicas have been looked for.
    met: watch::Receiver<bool>,
    clock: Clock,
}

impl Processes {
    /// For one state directory; once per process.
    #[must_use]
    pub fn open(store: &Store, client: &Client, clock: &Clock) -> Processes {
        let ports = Arc::new(Ports::default());
        for (_, kept) in store.records::<Kept>(Record::Replica, "") {
            // Also those of pools that nobody looks after: their replicas run.
            if let Ok(kept) = kept {
                ports.hold(kept.port);
            }
        }
        let (store, client, clock) = (store.clone(), client.clone(), clock.clone());
        let inner = Inner { store, client, clock, ports, seats: Mutex::default() };
        Processes { inner: Arc::new(inner) }
    }

    /// The target of one pool, whose replicas are looked for from now on. The pool of a target that is still held: that
    /// target, run by `spec` from now on. Needs a Tokio runtime, on which the pool's task then lives.
    pub fn connect(&self, id: &WorkloadId, pool: &str, spec: &ProcessSpec) -> Arc<dyn Target> {
        let key = pool::key(id, pool);
        let mut seats = self.seats();
        let seat = seats.entry(key.clone()).or_insert_with(|| Seat { handle: Weak::new(), turn: Arc::default() });
        if let Some(handle) = seat.handle.upgrade().filter(|handle| !handle.asks.is_closed()) {
            handle.spec.send_replace(spec.clone());
            return handle;
        }
        let pool = Pool::new(id, pool, spec.clone(), self.inner.ports.clone());
        let handle = self.begin(key, pool, seat.turn.clone());
        seat.handle = Arc::downgrade(&handle);
        handle
    }

    fn begin(&self, key: String, pool: Pool, turn: Arc<tokio::sync::Mutex<()>>) -> Arc<Handle> {
        let (asks, asked) = mpsc::channel(ASKS);
        let (work, read) = watch::channel(Work::from([]));
        let (spec, wanted) = watch::channel(pool.spec.clone());
        let (met, meeting) = watch::channel(false);
        let looking = TargetError::Failed(format!("{key}: its replicas are being looked for"));
        let seen = Arc::new(ArcSwap::from_pointee(Err(looking)));
        let Inner { store, client, clock, .. } = &*self.inner;
        let handle = Handle { key, asks, seen: seen.clone(), work, spec, met: meeting, clock: clock.clone() };
        let (store, client, clock) = (store.clone(), client.clone(), clock.clone());
        let actor = Actor { pool, store, client, clock, seen, asks: asked, spec: wanted, work: read };
        tokio::spawn(async move {
            let _turn = turn.lock_owned().await;
            actor.run(met).await;
        });
        Arc::new(handle)
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<String, Seat>> {
        // An entry is whole whenever the lock is free; after a panic elsewhere the map is still what it says.
        self.inner.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replicas that are recorded and that no target looks after, counted by pool (`NS/NAME/POOL`): those of workloads
    /// that are no longer in a manifest. They run on.
    #[must_use]
    pub fn unattended(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for kept in self.unattended_records() {
            *counts.entry(kept.pool).or_default() += 1;
        }
        counts
    }

    /// Ends every replica of this state directory and forgets it, those of unattended pools too: TERM, KILL after 5 s.
    /// Returns within about 10 s. Targets are of no use afterwards.
    pub async fn stop_all(&self) {
        let handles: Vec<_> = self.seats().values().filter_map(|seat| seat.handle.upgrade()).collect();
        let attended = futures_util::future::join_all(handles.iter().map(|handle| handle.stop()));
        let (_, ()) = tokio::join!(attended, self.stop_unattended());
    }

    async fn stop_unattended(&self) {
        let store = &self.inner.store;
        let records = self.unattended_records();
        let pools: BTreeSet<String> = records.iter().map(|kept| kept.pool.clone()).collect();
        let mut processes = Vec::new();
        for pool in &pools {
            let of_pool = records.iter().filter(|kept| kept.pool == *pool).cloned().collect();
            let (pool, state) = (pool.clone(), store.identity().to_owned());
            let look = move || adopt::adopt(&pool, &state, of_pool, &|_| std::path::PathBuf::new());
            match tokio::task::spawn_blocking(look).await {
                Ok(Ok(found)) => processes.extend(found.running.into_iter().map(|(_, process)| Arc::new(process))),
                Ok(Err(error)) => tracing::warn!(%error, "replicas cannot be looked for in /proc"),
                Err(error) => tracing::error!(%error, "looking for replicas was broken off"),
            }
        }
        life::end_all(processes, STOP_PATIENCE).await;
        for kept in &records {
            store.remove(Record::Replica, &kept.token);
        }
        for pool in &pools {
            store.remove(Record::Pool, pool);
        }
    }

    fn unattended_records(&self) -> Vec<Kept> {
        let seats = self.seats();
        let attended = |pool: &str| seats.get(pool).is_some_and(|seat| seat.handle.strong_count() > 0);
        let records = self.inner.store.records::<Kept>(Record::Replica, "");
        records.into_iter().filter_map(|(_, kept)| kept.ok()).filter(|kept| !attended(&kept.pool)).collect()
    }
}

impl Handle {
    /// Waits until its replicas have been looked for, which takes milliseconds, once.
    async fn looked(&self) {
        let mut met = self.met.clone();
        // Too late, or the task has ended: what is known then is said.
        let _ = tokio::time::timeout(PATIENCE, met.wait_for(|met| *met)).await;
    }

    /// Ends the pool's replicas and forgets them; the handle is of no use afterwards.
    async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.asks.send(Ask::Stop(done)).await.is_ok() {
            // An error: the task has ended, which is as good.
            let _ = ended.await;
        }
    }

    fn ended(&self) -> TargetError {
        let why = "the daemon is stopping, or its log says what broke off";
        TargetError::Failed(format!("{}: nobody looks after its replicas any more: {why}", self.key))
    }
}

impl Target for Handle {
    fn report(&self) -> BoxFuture<'_, Result<TargetReport, TargetError>> {
        Box::pin(async {
            self.looked().await;
            if self.asks.is_closed() {
                // The last that its task said must not pass as what there is now.
                return Err(self.ended());
            }
            let mut seen = Result::clone(&self.seen.load());
            if let Ok(seen) = &mut seen {
                // It is kept up to date by everything that happens.
                seen.report.at = self.clock.now();
            }
            seen
        })
    }

    fn apply<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move {
            if action.standby > 0 && self.spec.borrow().standby.is_none() {
                let message = format!("{}: it has no standby tier; add `standby` to its `process`", self.key);
                return Err(TargetError::Refused(message));
            }
            let (reply, answer) = oneshot::channel();
            let totals = Ask::Totals {
                serving: action.serving,
                standby: action.standby,
                decision: action.decision.clone(),
                first: action.remove_first.clone(),
                reply,
            };
            self.asks.send(totals).await.map_err(|_| self.ended())?;
            answer.await.map_err(|_| self.ended())?
        })
    }

    fn endpoints(&self) -> BoxFuture<'_, Vec<Endpoint>> {
        Box::pin(async {
            self.looked().await;
            self.seen.load().as_ref().as_ref().map_or_else(|_| Vec::new(), |seen| seen.endpoints.clone())
        })
    }

    fn note_work(&self, work: &[(Arc<str>, f64, Time)]) {
        // The newest readings replace those that were not looked at.
        self.work.send_replace(work.into());
    }
}
