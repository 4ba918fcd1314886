//! What a workload's tasks share: its controller, and the one place where it is published and kept.
//!
//! For: the loop, which ticks, and the steward, which swaps modules between ticks; both hold the controller for as long
//! as a value takes to compute, and never while they wait for anything. Never decides.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use trimtab_control::config::WorkloadId;
use trimtab_control::decision::Decision;
use trimtab_control::sample::Intake;
use trimtab_control::time::Time;
use trimtab_control::{Arbiter, Controller};

use super::view::{Seat, SourceView, StageView, View};
use crate::clock::Clock;
use crate::journal::{Journals, Recorder};
use crate::manifest::Problem;
use crate::metrics::Metrics;
use crate::store::Store;

/// See the module.
pub(super) struct Held {
    pub(super) id: WorkloadId,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) seat: Arc<Seat>,
    inner: Mutex<Inner>,
    aside: Mutex<Aside>,
    /// Told when a module has failed too often: see [`Controller::take_tripped`].
    pub(super) tripped: Notify,
    /// Grows when a module, the configuration or a standing order changes: actions of before are void.
    fence: AtomicU64,
}

/// The controller, and where everything that it is given is written down.
struct Inner {
    controller: Controller,
    recorder: Recorder,
}

/// What is shown beside the controller's own account.
#[derive(Default)]
struct Aside {
    stages: Vec<StageView>,
    sources: Vec<SourceView>,
    notes: Vec<String>,
    problems: Vec<Problem>,
    /// By stage: why its shadow is not there.
    shadows: BTreeMap<String, Vec<Problem>>,
    ticked: bool,
    missed_ticks: u64,
}

impl Held {
    pub(super) fn new(
        controller: Controller,
        clock: Clock,
        store: Store,
        metrics: Arc<Metrics>,
        seat: Arc<Seat>,
        journals: Journals,
    ) -> Held {
        let id = controller.config().id.clone();
        let aside = Mutex::default();
        let recorder = Recorder::new(journals, id.clone());
        Held {
            id,
            clock,
            store,
            metrics,
            seat,
            inner: Mutex::new(Inner { controller, recorder }),
            aside,
            tripped: Notify::new(),
            fence: AtomicU64::new(0),
        }
    }

    /// Holds the controller for as long as `f` takes. A panic elsewhere leaves it as it was between two of its steps.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Controller) -> R) -> R {
        self.with_both(|controller, _| f(controller))
    }

    /// The same, with the journal. What the controller was given goes there before anybody else holds it.
    fn with_both<R>(&self, f: impl FnOnce(&mut Controller, &mut Recorder) -> R) -> R {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { controller, recorder } = &mut *inner;
        let lost = recorder.lost();
        let result = f(controller, recorder);
        recorder.after(controller, || self.clock.now());
        for _ in lost..recorder.lost() {
            self.metrics.journal_gap(&self.id);
        }
        result
    }

    /// Keeps a journal of so many bytes from now on; none: keeps none.
    pub(super) fn keep_journal(&self, most: Option<u64>) {
        let now = self.clock.now();
        self.with_both(|controller, recorder| recorder.set(most, controller, now));
    }

    /// A module that may be installed.
    pub(super) fn keep_module(&self, digest: &str, bytes: &Arc<[u8]>) {
        self.with_both(|_, recorder| recorder.module(digest, bytes));
    }

    /// Nothing more will happen.
    pub(super) fn close_journal(&self) {
        self.with_both(|controller, recorder| recorder.end(controller));
    }

    fn aside<R>(&self, f: impl FnOnce(&mut Aside) -> R) -> R {
        f(&mut self.aside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One decision. Calls policies: not for a thread that others wait for.
    pub(super) fn decide(&self, intake: Intake, arbiter: &Mutex<Arbiter>) -> (Decision, u64) {
        self.with(|controller| {
            // Read under the lock: what is decided belongs to the modules and orders of this moment.
            let fence = self.fence();
            let now = self.clock.now();
            controller.observe(intake, now);
            let wants = controller.propose(now);
            let grant = arbiter.lock().unwrap_or_else(PoisonError::into_inner).grant(&self.id, &wants);
            let violations = controller.violations();
            let decision = controller.decide(&grant, now);
            for _ in violations..controller.violations() {
                self.metrics.violation(&self.id);
            }
            if controller.has_tripped() {
                self.tripped.notify_one();
            }
            for (pool, took) in controller.take_measured() {
                self.metrics.startup(&self.id, &pool, took.as_seconds());
            }
            (decision, fence)
        })
    }

    pub(super) fn fence(&self) -> u64 {
        self.fence.load(Ordering::SeqCst)
    }

    /// Makes void what was decided and not yet asked.
    pub(super) fn raise_fence(&self) {
        self.fence.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn set_stages(&self, stages: Vec<StageView>) {
        self.aside(|aside| aside.stages = stages);
    }

    pub(super) fn set_problems(&self, problems: Vec<Problem>) {
        self.aside(|aside| aside.problems = problems);
    }

    /// Whether these are what is wrong with the newest manifest already.
    pub(super) fn has_problems(&self, problems: &[Problem]) -> bool {
        self.aside(|aside| aside.problems == problems)
    }

    /// Why a stage's shadow is not there; empty: it is.
    pub(super) fn set_shadow(&self, stage: &str, problems: Vec<Problem>) {
        self.aside(|aside| aside.shadows.insert(stage.to_owned(), problems));
    }

    /// Stages that are not among these are no more.
    pub(super) fn keep_shadows(&self, stages: &[String]) {
        self.aside(|aside| aside.shadows.retain(|stage, _| stages.contains(stage)));
    }

    pub(super) fn set_surroundings(&self, sources: Vec<SourceView>, notes: Vec<String>) {
        self.aside(|aside| {
            aside.sources = sources;
            aside.notes = notes;
        });
    }

    pub(super) fn set_ticked(&self) {
        self.aside(|aside| aside.ticked = true);
    }

    pub(super) fn missed(&self, ticks: u64) {
        self.metrics.missed(&self.id, ticks);
        self.aside(|aside| aside.missed_ticks += ticks);
    }

    /// Shows the workload as it is now.
    pub(super) fn publish(&self) {
        let now = self.clock.now();
        let view = self.with(|controller| self.aside(|aside| view(controller, aside, now)));
        for pool in &view.status.pools {
            let states = [
                ("desired", pool.desired),
                ("ready", pool.ready),
                ("starting", pool.starting),
                ("draining", pool.draining),
                ("standby", pool.standby),
                ("stuck", pool.stuck),
                ("failed", pool.failed),
            ];
            self.metrics.replicas(&self.id, &pool.name, &states);
        }
        self.seat.view.store(Arc::new(view));
    }

    /// Keeps the workload's memory. Returns at once; what cannot be written stays in memory and is tried again.
    pub(super) fn keep(&self) {
        let saved = self.with(|controller| controller.save());
        // The store reports a failing disk once for all workloads: see `Supervisor`.
        let _ = self.store.save(&self.id, &saved);
    }
}

fn view(controller: &Controller, aside: &Aside, now: Time) -> View {
    View {
        id: controller.config().id.clone(),
        status: controller.status(now),
        stages: aside.stages.clone(),
        decisions: controller.decisions().cloned().collect(),
        sources: aside.sources.clone(),
        notes: aside.notes.clone(),
        problems: aside.problems.iter().chain(aside.shadows.values().flatten()).cloned().collect(),
        ticked: aside.ticked,
        missed_ticks: aside.missed_ticks,
    }
}

/// A view of a workload that is about to start.
pub(super) fn first_view(controller: &Controller, now: Time) -> View {
    view(controller, &Aside::default(), now)
}
