//! Carries out the decisions of one pool: one action in flight, the newest waits, what is void is dropped.
//!
//! For: fencing. What was decided is on disk before it is asked; a target that fails is asked again later, and later
//! still. Never has a choice about numbers, never invents an action.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use trimtab_control::config::WorkloadConfig;
use trimtab_control::decision::{Action, Outcome, OutcomeState};

use super::held::Held;
use crate::target::{Target, TargetError};

/// Waiting for the disk before an action, or the answer to an order; a broken disk costs durability, not those.
pub(super) const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries while a target fails: doubled each time.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Characters of an outcome's message.
const MESSAGE: usize = 1024;

/// See the module. Dropping it ends it; an action in flight is not waited for.
pub(super) struct Executor {
    slot: Arc<Slot>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Slot {
    waiting: Mutex<Option<Order>>,
    news: Notify,
}

/// An action, when it was handed over, and the fence it was decided under.
struct Order {
    action: Action,
    at: Instant,
    fence: u64,
}

impl Slot {
    fn replace(&self, order: Option<Order>) -> Option<Order> {
        std::mem::replace(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), order)
    }
}

impl Executor {
    pub(super) fn start(target: Arc<dyn Target>, held: Arc<Held>, outcomes: mpsc::Sender<Outcome>) -> Executor {
        let slot = Arc::new(Slot::default());
        let task = tokio::spawn(run(target, held, outcomes, Arc::clone(&slot)));
        Executor { slot, _task: AbortOnDropHandle::new(task) }
    }

    /// Hands over the newest decision. What was waiting is superseded: its outcome.
    pub(super) fn submit(&self, action: Action, fence: u64) -> Option<Outcome> {
        let before = self.slot.replace(Some(Order { action, at: Instant::now(), fence }));
        self.slot.news.notify_one();
        before.map(|order| outcome(&order.action, OutcomeState::Superseded, "a newer decision took its place"))
    }
}

async fn run(target: Arc<dyn Target>, held: Arc<Held>, outcomes: mpsc::Sender<Outcome>, slot: Arc<Slot>) {
    let mut failures: u32 = 0;
    let mut not_before = Instant::now();
    loop {
        // While it waits, a newer decision may take the place of the one that waits with it.
        tokio::time::sleep_until(not_before).await;
        let Some(Order { action, at, fence }) = slot.replace(None) else {
            slot.news.notified().await;
            continue;
        };
        // The decision outlives this process before anyone acts on it.
        let _ = tokio::time::timeout(DISK_PATIENCE, held.store.flush()).await;
        let outcome = if fence != held.fence() {
            let why = "a module, the configuration or an order changed before it was asked";
            outcome(&action, OutcomeState::Dropped, why)
        } else if at.elapsed() > held.with(|controller| freshness(controller.config())) {
            outcome(&action, OutcomeState::Dropped, "it waited for too long: what is known by now decides anew")
        } else {
            ask(&*target, &action).await
        };
        match outcome.state {
            OutcomeState::Failed => {
                let pause = BACK_OFF.saturating_mul(1 << failures.min(5)).min(BACK_OFF_MAX);
                not_before = Instant::now() + pause;
                failures += 1;
            }
            // Nothing was asked, so nothing new is known of the target.
            OutcomeState::Dropped => {}
            _ => failures = 0,
        }
        if outcomes.send(outcome).await.is_err() {
            return;
        }
    }
}

/// How long a decision may wait: what it was decided on grows old, and may since be missing.
fn freshness(config: &WorkloadConfig) -> Duration {
    2 * Duration::from_millis(config.interval.0)
}

async fn ask(target: &dyn Target, action: &Action) -> Outcome {
    match target.apply(action).await {
        Ok(()) => outcome(action, OutcomeState::Applied, ""),
        Err(TargetError::Refused(why)) => outcome(action, OutcomeState::Refused, &why),
        Err(TargetError::Failed(why)) => outcome(action, OutcomeState::Failed, &why),
    }
}

/// The outcome of an action, its message cleaned and cut.
pub(super) fn outcome(action: &Action, state: OutcomeState, message: &str) -> Outcome {
    Outcome {
        decision: action.decision.clone(),
        pool: action.pool.clone(),
        state,
        message: trimtab_sandbox::clean(message, MESSAGE),
    }
}
