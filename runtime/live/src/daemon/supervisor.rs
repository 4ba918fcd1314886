//! The set of workloads: which run, from which documents, and what is wrong with the rest.
//!
//! For: documents that come, change and go while the daemon runs. A document that goes away ends its control and leaves
//! its replicas; one that is wrong changes nothing. Never looks into a workload's decisions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_util::sync::CancellationToken;
use trimtab_control::Controller;
use trimtab_control::config::WorkloadId;

use super::held::{Held, first_view};
use super::own_port;
use super::steward::Steward;
use super::view::{Seat, Shared};
use super::workload::{Common, INBOX, Workload};
use crate::hints::Hints;
use crate::manifest::{self, Place, Problem, Scaler, Standing, Step};
use crate::stages::{self, Fit};

/// Quiet time that ends a storm of file events, and the longest a storm delays a look.
const DEBOUNCE: Duration = Duration::from_millis(150);
const DEBOUNCE_MAX: Duration = Duration::from_secs(1);
/// Looking without an event.
const RESCAN: Duration = Duration::from_secs(15);
/// A wall clock that moved by so many milliseconds was set.
const CLOCK_JUMP: i64 = 10_000;
/// Orders that wait for a workload.
const ORDERS: usize = 16;
/// All workloads end within this, or are left to the end of the process.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// One workload that runs.
struct Member {
    scaler: watch::Sender<Arc<Scaler>>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    seat: Arc<Seat>,
}

/// See the module.
pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) common: Common,
    pub(super) paths: Vec<PathBuf>,
    /// The admin port.
    listen: Option<SocketAddr>,
    standing: Standing,
    members: BTreeMap<WorkloadId, Member>,
    /// New documents whose modules do not fit yet.
    waiting: BTreeMap<WorkloadId, (Arc<Scaler>, Vec<Problem>)>,
    /// Documents that name addresses they must not.
    refused: BTreeMap<WorkloadId, Vec<Problem>>,
    /// What the last reload found wrong.
    wrong: Vec<Problem>,
    disk: Option<String>,
    /// Of the wall clock, as it was said last, milliseconds.
    drift: i64,
}

impl Supervisor {
    pub(super) fn new(
        shared: Arc<Shared>,
        common: Common,
        paths: Vec<PathBuf>,
        listen: Option<SocketAddr>,
        standing: Standing,
    ) -> Supervisor {
        Supervisor {
            shared,
            common,
            paths,
            listen,
            standing,
            members: BTreeMap::new(),
            waiting: BTreeMap::new(),
            refused: BTreeMap::new(),
            wrong: Vec::new(),
            disk: None,
            drift: 0,
        }
    }

    /// Starts a workload whose modules fit. Needs a runtime.
    pub(super) fn admit(&mut self, scaler: &Arc<Scaler>, fits: &[Fit]) {
        let id = scaler.config.id.clone();
        let environment = &self.common.environment;
        let saved = environment.store.load(&id).unwrap_or_else(|error| {
            tracing::error!(workload = %id, "{error}");
            None
        });
        let now = environment.clock.now();
        let generation = 1;
        let mut config = scaler.config.clone();
        config.generation = generation;
        let controller = Controller::new(config, saved, now);
        let (orders, order_inbox) = mpsc::channel(ORDERS);
        let seat = Arc::new(Seat {
            view: ArcSwap::from_pointee(first_view(&controller, now)),
            orders,
            targets: ArcSwap::default(),
        });
        let held = Arc::new(Held::new(
            controller,
            environment.clock.clone(),
            environment.store.clone(),
            Arc::clone(&self.shared.metrics),
            Arc::clone(&seat),
            self.common.journals.clone(),
        ));
        held.keep_journal(scaler.journal);
        let (events, event_inbox) = mpsc::channel(INBOX);
        let steward =
            Steward::new(Arc::clone(&held), Arc::clone(&self.shared), events, Arc::clone(scaler), generation, fits);
        let (manifests, manifest_inbox) = watch::channel(Arc::clone(scaler));
        let stop = CancellationToken::new();
        let (common, first) = (self.common.clone(), Arc::clone(scaler));
        let tasks = vec![
            tokio::spawn(Workload::start(held, common, first, order_inbox, event_inbox, stop.clone())),
            tokio::spawn(steward.run(manifest_inbox, stop.clone())),
        ];
        tracing::info!(workload = %id, place = %scaler.place, "workload starts");
        self.members.insert(id.clone(), Member { scaler: manifests, stop, tasks, seat: Arc::clone(&seat) });
        self.shared.seats.rcu(|seats| {
            let mut seats = BTreeMap::clone(seats);
            seats.insert(id.clone(), Arc::clone(&seat));
            seats
        });
    }

    /// Follows the documents until told to stop; then ends every workload, and with `replicas` their replicas.
    pub(super) async fn run(mut self, stop: CancellationToken, stop_replicas: bool) {
        let hint = Arc::new(Notify::new());
        let mut hints = {
            let hint = Arc::clone(&hint);
            Hints::new(move || hint.notify_one())
        };
        self.watch(&mut hints);
        self.publish_problems();
        let mut modules = self.shared.modules.changes();
        let mut rescan = interval_at(Instant::now() + RESCAN, RESCAN);
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut disk = interval_at(Instant::now() + Duration::from_secs(1), Duration::from_secs(2));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = hint.notified() => {
                    settle(&hint).await;
                    self.reload().await;
                }
                _ = rescan.tick() => {
                    self.watch(&mut hints);
                    self.reload().await;
                }
                changed = modules.changed(), if !self.waiting.is_empty() => {
                    if changed.is_err() { break }
                    let waiting: Vec<Arc<Scaler>> = self.waiting.values().map(|(scaler, _)| Arc::clone(scaler)).collect();
                    for scaler in waiting {
                        self.welcome(scaler).await;
                    }
                    self.publish_problems();
                }
                _ = disk.tick() => {
                    self.watch_disk();
                    self.watch_clock();
                }
            }
        }
        self.end_all(stop_replicas).await;
    }

    fn watch(&self, hints: &mut Hints) {
        for path in &self.paths {
            if path.is_dir() {
                hints.watch(path, false);
            } else if let Some(folder) = path.parent() {
                // Editors replace files: it is the folder that tells.
                let here = folder.as_os_str().is_empty();
                hints.watch(if here { std::path::Path::new(".") } else { folder }, false);
            }
        }
    }

    async fn reload(&mut self) {
        let paths = self.paths.clone();
        // It cannot be lost but when the runtime goes down.
        let Ok(loaded) = tokio::task::spawn_blocking(move || manifest::load(&paths)).await else { return };
        let changes = self.standing.refresh(loaded);
        self.shared.modules.set_tenants(Arc::new(self.standing.tenants()));
        for id in &changes.ended {
            self.end(id).await;
        }
        for scaler in changes.changed {
            let id = scaler.config.id.clone();
            let own = own_port::problems(&scaler, self.listen);
            self.refused.remove(&id);
            if !own.is_empty() {
                own.iter().for_each(|problem| tracing::warn!(workload = %id, "what is in force stays: {problem}"));
                self.refused.insert(id, own);
                continue;
            }
            match self.members.get(&scaler.config.id) {
                // The steward takes it from here.
                Some(member) => drop(member.scaler.send_replace(scaler)),
                None => self.welcome(scaler).await,
            }
        }
        if self.wrong != changes.problems {
            for problem in changes.problems.iter().filter(|p| !self.wrong.contains(p)) {
                tracing::warn!("what is in force stays: {problem}");
            }
            self.wrong = changes.problems;
        }
        self.publish_problems();
    }

    /// A document of a workload that does not run yet.
    async fn welcome(&mut self, scaler: Arc<Scaler>) {
        let snapshot = self.shared.modules.snapshot();
        let checked = Arc::clone(&scaler);
        let check = move || stages::check(&checked, &snapshot);
        let Ok((fits, problems)) = tokio::task::spawn_blocking(check).await else { return };
        let id = scaler.config.id.clone();
        if problems.is_empty() {
            self.waiting.remove(&id);
            self.admit(&scaler, &fits);
            return;
        }
        self.await_modules(scaler, problems);
    }

    /// A workload that starts when its modules fit.
    pub(super) fn await_modules(&mut self, scaler: Arc<Scaler>, problems: Vec<Problem>) {
        let id = scaler.config.id.clone();
        let before = self.waiting.get(&id).map_or(&[][..], |(_, before)| before);
        for problem in problems.iter().filter(|problem| !before.contains(problem)) {
            tracing::warn!(workload = %id, "not started yet: {problem}");
        }
        self.waiting.insert(id, (scaler, problems));
    }

    /// Ends the control of a workload. Its replicas stay.
    async fn end(&mut self, id: &WorkloadId) {
        self.waiting.remove(id);
        self.refused.remove(id);
        let Some(member) = self.members.remove(id) else { return };
        let running: Vec<String> = member
            .seat
            .view
            .load()
            .status
            .pools
            .iter()
            .map(|pool| format!("{}: {} ready, {} starting", pool.name, pool.ready, pool.starting))
            .collect();
        self.shared.seats.rcu(|seats| {
            let mut seats = BTreeMap::clone(seats);
            seats.remove(id);
            seats
        });
        member.end(Instant::now() + LAST_WORDS).await;
        self.common.arbiter.lock().unwrap_or_else(PoisonError::into_inner).release(id);
        self.shared.modules.withdraw(&id.to_string());
        self.shared.metrics.forget(id);
        let line = format!("its document is gone: no longer controlled; its replicas stay ({})", running.join("; "));
        tracing::warn!(workload = %id, "{line}");
        let environment = &self.common.environment;
        // A failing disk is reported by `watch_disk`.
        let _ = environment.store.audit(id, environment.clock.now(), &line);
    }

    async fn end_all(&mut self, stop_replicas: bool) {
        let deadline = Instant::now() + LAST_WORDS;
        for member in self.members.values() {
            member.stop.cancel();
        }
        for (_, member) in std::mem::take(&mut self.members) {
            member.end(deadline).await;
        }
        if stop_replicas {
            self.common.environment.processes.stop_all().await;
        }
        let written = async { tokio::join!(self.common.environment.store.flush(), self.common.journals.flush()) };
        let _ = timeout_at(deadline + Duration::from_millis(200), written).await;
    }

    /// Says once that the disk fails, and once that it does not any more.
    fn watch_disk(&mut self) {
        let failing = self.common.environment.store.failing().map(|error| error.to_string());
        if failing != self.disk {
            match &failing {
                Some(error) => tracing::error!("{error}"),
                None => tracing::info!("the state file is written again"),
            }
            self.disk = failing;
            self.publish_problems();
        }
    }

    /// Says that somebody set the machine's clock: nothing follows from it, but times in logs will not fit together.
    fn watch_clock(&mut self) {
        let drift = self.common.environment.clock.drift();
        if (drift - self.drift).abs() >= CLOCK_JUMP {
            tracing::warn!(
                ahead_ms = drift,
                "the machine's clock was set; decisions follow a clock that does not jump and comes round to it slowly"
            );
            self.drift = drift;
        }
    }

    fn publish_problems(&self) {
        let mut problems = self.wrong.clone();
        problems.extend(self.waiting.values().flat_map(|(_, problems)| problems.iter().cloned()));
        problems.extend(self.refused.values().flatten().cloned());
        let unattended = self.common.environment.processes.unattended();
        problems.extend(unattended.into_iter().map(|(pool, count)| Problem {
            place: Place::file(&self.common.environment.store.directory().to_string_lossy()),
            stage: Step::State,
            message: format!("{count} replica(s) of {pool} run, and no manifest looks after them"),
            hint: "bring the document back, end them by hand, or end the daemon started with --stop-replicas".into(),
        }));
        problems.extend(self.disk.iter().map(|error| Problem {
            place: Place::file(&self.common.environment.store.directory().to_string_lossy()),
            stage: Step::State,
            message: error.clone(),
            hint: "free space or repair permissions; nothing is lost while the daemon runs".into(),
        }));
        if **self.shared.problems.load() != problems {
            self.shared.problems.store(Arc::new(problems));
        }
    }
}

impl Member {
    async fn end(self, deadline: Instant) {
        self.stop.cancel();
        for mut task in self.tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Waits until events cease.
async fn settle(hint: &Notify) {
    let latest = Instant::now() + DEBOUNCE_MAX;
    loop {
        let quiet = (Instant::now() + DEBOUNCE).min(latest);
        if timeout_at(quiet, hint.notified()).await.is_err() {
            return;
        }
    }
}
