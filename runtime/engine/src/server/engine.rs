//! The replica with a clock: simulated time follows wall time, requests follow the replica's events.
//!
//! For: many engines on few cores. One task per engine sleeps until the replica's next event; all tokens that became due
//! meanwhile are handed out at once. A request's progress is a number that its stream reads when it gets to it, so a slow
//! client holds no queue of tokens. Never awaits while it holds the lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use trimtab_sim::replica::{EventKind, Phase, TooLong};
use trimtab_sim::{Moment, Replica, Request, RequestId};

use super::EngineOptions;
use super::metrics::Metrics;

/// Least time between two wake-ups; steps shorter than this share one.
const MIN_TICK: Duration = Duration::from_millis(4);

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// Output tokens produced.
    pub(super) tokens: u32,
    /// Nothing will follow.
    pub(super) finished: bool,
}

#[derive(Debug)]
struct Inner {
    replica: Replica,
    open: BTreeMap<RequestId, watch::Sender<Progress>>,
    metrics: Metrics,
    stopped: bool,
}

/// One engine, shared by its connections.
#[derive(Debug)]
pub(super) struct Engine {
    inner: Mutex<Inner>,
    /// Told when the next event may have come nearer.
    changed: Notify,
    phase: watch::Sender<Phase>,
    origin: Instant,
    speed: f64,
    /// The model's name on the API.
    pub(super) model: String,
}

impl Engine {
    pub(super) fn new(options: EngineOptions) -> Engine {
        let model = options.model.unwrap_or_else(|| options.profile.model.clone());
        let replica = Replica::new(options.profile, &options.startup, options.seed, Moment::ZERO);
        Engine {
            phase: watch::Sender::new(replica.phase()),
            inner: Mutex::new(Inner {
                replica,
                open: BTreeMap::new(),
                metrics: Metrics::new(options.speed),
                stopped: false,
            }),
            changed: Notify::new(),
            origin: Instant::now(),
            speed: options.speed,
            model,
        }
    }

    /// Whether start-up is over. Asleep is started: a health check tells neither load nor sleep.
    pub(super) fn started(&self) -> bool {
        !matches!(self.with(|inner| inner.replica.phase()), Phase::Starting { .. })
    }

    /// Whether it sleeps or is only waking.
    pub(super) fn is_sleeping(&self) -> bool {
        matches!(self.with(|inner| inner.replica.phase()), Phase::Asleep { .. } | Phase::Waking { .. })
    }

    /// Queues a request; its handle cancels it when dropped.
    pub(super) fn submit(self: &std::sync::Arc<Self>, request: Request) -> Result<Handle, TooLong> {
        let (id, progress) = self.with(|inner| {
            let id = inner.replica.submit(request, self.now())?;
            let (sender, receiver) = watch::channel(Progress::default());
            if !inner.stopped {
                inner.open.insert(id, sender);
            }
            Ok((id, receiver))
        })?;
        self.changed.notify_one();
        Ok(Handle { engine: std::sync::Arc::clone(self), id, progress })
    }

    /// Falls asleep; no-op while starting.
    pub(super) fn sleep(&self, level: u8) {
        self.with(|inner| inner.replica.sleep(level, self.now()));
    }

    /// Wakes, and waits until awake.
    pub(super) async fn wake(&self) {
        self.with(|inner| inner.replica.wake(self.now()));
        self.changed.notify_one();
        let mut phase = self.phase.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = phase.wait_for(|phase| !matches!(phase, Phase::Waking { .. })).await;
    }

    /// The text of `/metrics`.
    pub(super) fn exposition(&self) -> String {
        self.with(|inner| inner.metrics.render(&inner.replica, &self.model))
    }

    /// Ends every open request without an answer, and takes no more.
    pub(super) fn abort_all(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        inner.open.clear();
    }

    /// Lets time pass, for ever.
    pub(super) async fn tick(&self) {
        loop {
            let next = self.with(|inner| inner.replica.next_event());
            let changed = self.changed.notified();
            match next {
                None => changed.await,
                Some(at) => {
                    let due = self.origin + Duration::from_micros(at.0).div_f64(self.speed);
                    tokio::select! {
                        () = tokio::time::sleep_until(due.max(Instant::now() + MIN_TICK)) => {}
                        () = changed => {}
                    }
                }
            }
        }
    }

    fn now(&self) -> Moment {
        Moment::from_seconds(self.origin.elapsed().as_secs_f64() * self.speed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock leaves counters that are at worst one event behind: better served than refused.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the replica up to now, then lets `f` look or act, then lets what it did begin.
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        inner.advance(self.now());
        let out = f(&mut inner);
        inner.advance(self.now());
        let phase = inner.replica.phase();
        self.phase.send_if_modified(|seen| std::mem::replace(seen, phase) != phase);
        out
    }

    fn cancel(&self, id: RequestId) {
        self.with(|inner| {
            inner.open.remove(&id);
            if inner.replica.cancel(id) {
                inner.metrics.aborted();
            }
        });
    }
}

impl Inner {
    fn advance(&mut self, now: Moment) {
        for event in self.replica.advance(now) {
            self.metrics.observe(&event);
            match event.kind {
                EventKind::FirstToken { request, .. } => self.progress(request, 1),
                EventKind::NextToken { request, index, .. } => self.progress(request, index),
                EventKind::Finished { request, .. } => {
                    if let Some(sender) = self.open.remove(&request) {
                        sender.send_modify(|progress| progress.finished = true);
                    }
                }
                EventKind::Ready | EventKind::Awake | EventKind::Admitted { .. } | EventKind::Preempted { .. } => {}
            }
        }
    }

    fn progress(&mut self, id: RequestId, tokens: u32) {
        if let Some(sender) = self.open.get(&id) {
            sender.send_modify(|progress| progress.tokens = tokens);
        }
    }
}

/// A request in the engine; cancelled when dropped unfinished, which is how a disconnected client frees its place.
#[derive(Debug)]
pub(super) struct Handle {
    engine: std::sync::Arc<Engine>,
    id: RequestId,
    progress: watch::Receiver<Progress>,
}

impl Handle {
    /// Waits for progress. `None`: the engine stopped before the request finished.
    pub(super) async fn next(&mut self) -> Option<Progress> {
        let changed = self.progress.changed().await;
        let progress = *self.progress.borrow_and_update();
        (changed.is_ok() || progress.finished).then_some(progress)
    }

    /// Waits for the end; false when the engine stopped before.
    pub(super) async fn finished(&mut self) -> bool {
        self.progress.wait_for(|progress| progress.finished).await.is_ok()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.progress.borrow().finished {
            self.engine.cancel(self.id);
        }
    }
}
