//! The loop of one workload: scrape, decide, hand over, on its own interval.
//!
//! For: everything that happens between two ticks in one order: readings, orders of people, outcomes, changes of the
//! manifest. Waits for nobody longer than min(interval / 4, 1 s), and for no other workload. Never decides, and never
//! touches a replica itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trimtab_control::Arbiter;
use trimtab_control::decision::{Decision, Outcome, OutcomeState};
use trimtab_control::sample::Intake;
use trimtab_control::time::Span;

use super::executor::{DISK_PATIENCE, outcome};
use super::held::Held;
use super::schedule::Schedule;
use super::steward::Install;
use super::view::{Command, Order};
use super::wiring::{self, Environment, Wiring};
use crate::journal::Journals;
use crate::manifest::{Actuator, Scaler};

/// Outcomes and changes that wait for the loop.
pub(super) const INBOX: usize = 64;

/// What else reaches the loop.
pub(super) enum Event {
    /// Another manifest, with modules that fit it.
    Change { scaler: Arc<Scaler>, generation: u64, installs: Vec<Install>, done: oneshot::Sender<()> },
    /// Modules were swapped: other series may be needed.
    Swapped,
}

/// What all workloads share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) arbiter: Arc<Mutex<Arbiter>>,
    /// Policies that may be called at the same time.
    pub(super) permits: Arc<Semaphore>,
    pub(super) environment: Environment,
    pub(super) journals: Journals,
    /// Decides only, whatever manifests say.
    pub(super) dry_run: bool,
}

/// See the module.
pub(super) struct Workload {
    held: Arc<Held>,
    common: Common,
    scaler: Arc<Scaler>,
    wiring: Wiring,
    schedule: Schedule,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Receiver<Event>,
    outcomes: mpsc::Receiver<Outcome>,
    report_outcome: mpsc::Sender<Outcome>,
}

impl Workload {
    /// Connects a workload, and runs it until told to stop.
    pub(super) async fn start(
        held: Arc<Held>,
        common: Common,
        scaler: Arc<Scaler>,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Receiver<Event>,
        stop: CancellationToken,
    ) {
        let (report_outcome, outcomes) = mpsc::channel(INBOX);
        let wiring = Wiring::connect(&scaler, &held, &common.environment, &report_outcome);
        let schedule = Schedule::new(scaler.config.interval, &held.with(|c| c.needs()), Instant::now());
        let mut workload =
            Workload { held, common, scaler, wiring, schedule, orders, events, outcomes, report_outcome };
        workload.settle();
        workload.run(stop).await;
    }

    /// The workload's memory is kept at the end.
    async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(outcome) = self.outcomes.recv() => self.record(outcome),
                Some(event) = self.events.recv() => self.meet(event),
                Some(order) = self.orders.recv() => self.obey(order).await,
                due = self.schedule.wait() => {
                    if due.tick {
                        self.tick(due.at).await;
                    } else {
                        self.sample(due.at).await;
                        // Taken in now: the next round would take their place.
                        let (intake, now) = (self.intake(), self.held.clock.now());
                        self.held.with(|controller| controller.observe(intake, now));
                    }
                }
            }
        }
        self.held.keep();
        self.held.close_journal();
    }

    /// The clock-independent facts of a configuration, told to the controller.
    fn settle(&mut self) {
        let period = Span(self.schedule.sampling().as_millis() as u64);
        let defaults = wiring::signal_defaults(&self.scaler);
        let (pages, replicas) = (wiring::owed_by_pages(&self.scaler), wiring::owed_by_replicas(&self.scaler));
        self.held.with(|controller| {
            controller.set_source_period(period);
            controller.set_page_signals(&pages);
            controller.set_replica_signals(&replicas);
            for (signal, within, across) in defaults {
                controller.set_signal_defaults(&signal, within, across);
            }
        });
        self.held.seat.targets.store(Arc::new(self.wiring.targets()));
    }

    /// A scrape round, no longer than min(interval / 4, 1 s).
    async fn sample(&mut self, begun: Instant) {
        let patience = (self.schedule.interval() / 4).min(Duration::from_secs(1));
        self.wiring.sample(begun.max(Instant::now()), patience).await;
    }

    async fn tick(&mut self, due: Instant) {
        let started = Instant::now();
        self.sample(started).await;
        let intake = self.intake();
        let (held, arbiter) = (Arc::clone(&self.held), Arc::clone(&self.common.arbiter));
        // The semaphore is never closed; without a permit the tick would still be right, only less polite.
        let permit = Arc::clone(&self.common.permits).acquire_owned().await;
        let decided = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let begun = thread_cpu();
            let decided = held.decide(intake, &arbiter);
            held.metrics.tick_cpu(&held.id, thread_cpu().saturating_sub(begun));
            decided
        });
        match decided.await {
            Ok((decision, fence)) => self.follow(&decision, fence),
            Err(error) => {
                tracing::error!(workload = %self.held.id, %error, "a decision was lost to a fault of ours; the count stays");
            }
        }
        let lateness = started.saturating_duration_since(due);
        self.held.metrics.tick(&self.held.id, started.elapsed(), lateness);
        let missed = self.schedule.ticked(due, Instant::now());
        if missed > 0 {
            tracing::warn!(workload = %self.held.id, missed, took_ms = started.elapsed().as_millis() as u64, "ticks were missed");
            self.held.missed(missed);
        }
    }

    fn intake(&mut self) -> Intake {
        let now = self.held.clock.now();
        let at = jiff::Timestamp::from_millisecond(i64::try_from(now.0).unwrap_or(i64::MAX)).unwrap_or_default();
        let offset = self.scaler.time_zone.to_offset(at).seconds() / 60;
        let pools = self.wiring.take_reports();
        Intake { samples: self.wiring.take_samples(), pools, utc_offset_minutes: offset }
    }

    /// What a decision leads to.
    fn follow(&mut self, decision: &Decision, fence: u64) {
        let held = Arc::clone(&self.held);
        let id = &held.id;
        for input in &decision.inputs {
            self.held.metrics.signal_age(id, &input.signal, input.age.map(Span::as_seconds));
        }
        for step in decision.guardrails.iter().filter(|s| s.from != s.to || s.standby_from != s.standby_to) {
            self.held.metrics.limited(id, super::labels::rule(step.rule));
        }
        for (stage, shadow) in decision.stages.iter().filter_map(|stage| Some((stage, stage.shadow.as_ref()?))) {
            self.held.metrics.shadow(id, &stage.name, super::labels::shadow(stage, shadow));
        }
        if let Some(at) = decision.recheck_at {
            let ahead = Duration::from_millis(at.since(self.held.clock.now()).0);
            self.schedule.recheck(Instant::now() + ahead);
        }
        self.held.set_ticked();
        self.held.set_surroundings(self.wiring.sources(), self.wiring.notes());
        // On its way to the disk before anybody is asked: see `executor`.
        self.held.keep();
        let observe = self.common.dry_run || self.scaler.actuator == Actuator::Observe;
        for action in decision.actions() {
            tracing::info!(
                workload = %id, pool = action.pool, from = decision.pools.iter().find(|p| p.name == action.pool).map(|p| p.from),
                to = action.serving, standby = action.standby, decision = action.decision, "{}", action.reason
            );
            let done = if observe {
                Some(outcome(&action, OutcomeState::Observed, "observed only: nothing was asked"))
            } else {
                self.wiring.submit(action, fence)
            };
            if let Some(outcome) = done {
                self.note_outcome(outcome);
            }
        }
        self.held.publish();
    }

    fn record(&mut self, outcome: Outcome) {
        self.note_outcome(outcome);
        self.held.keep();
        self.held.publish();
    }

    fn note_outcome(&mut self, outcome: Outcome) {
        self.held.metrics.action(&self.held.id, super::labels::outcome(outcome.state));
        if matches!(outcome.state, OutcomeState::Refused | OutcomeState::Failed) {
            tracing::warn!(workload = %self.held.id, pool = outcome.pool, decision = outcome.decision, "{}", outcome.message);
        }
        let now = self.held.clock.now();
        self.held.with(|controller| controller.record(outcome, now));
    }

    async fn obey(&mut self, Order { command, reply }: Order) {
        let now = self.held.clock.now();
        let voids = !matches!(command, Command::Wake { .. });
        let result = self.held.with(|controller| controller.command(command, now));
        if let Ok(line) = &result {
            if voids {
                self.held.raise_fence();
            }
            tracing::info!(workload = %self.held.id, "{line}");
            // A failing disk is reported by the supervisor; the order stands in any case.
            let _ = self.held.store.audit(&self.held.id, now, line);
            self.held.keep();
            self.held.publish();
            self.schedule.at_once(Instant::now());
            // What a person was told stands outlives this process; a broken disk is no reason to say nothing.
            let _ = tokio::time::timeout(DISK_PATIENCE, self.held.store.flush()).await;
        }
        // Whoever asked may have gone.
        let _ = reply.send(result);
    }

    fn meet(&mut self, event: Event) {
        match event {
            Event::Change { scaler, generation, installs, done } => {
                self.change(scaler, generation, installs);
                let _ = done.send(());
            }
            Event::Swapped => {
                self.schedule.settle(self.scaler.config.interval, &self.held.with(|c| c.needs()), Instant::now());
                self.settle();
            }
        }
    }

    fn change(&mut self, scaler: Arc<Scaler>, generation: u64, installs: Vec<Install>) {
        let now = self.held.clock.now();
        let mut config = scaler.config.clone();
        config.generation = generation;
        self.held.raise_fence();
        self.held.keep_journal(scaler.journal);
        self.held.with(|controller| {
            controller.reconfigure(config, now);
            for install in installs {
                install.apply(controller, now);
            }
        });
        let gone = self.wiring.reconnect(&scaler, &self.held, &self.common.environment, &self.report_outcome);
        self.held.with(|controller| gone.iter().for_each(|pool| controller.let_go(pool)));
        self.scaler = scaler;
        self.schedule.settle(self.scaler.config.interval, &self.held.with(|c| c.needs()), Instant::now());
        self.settle();
        self.schedule.at_once(Instant::now());
        self.held.publish();
    }
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
