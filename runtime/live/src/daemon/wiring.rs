//! What a workload is connected to: the targets of its pools and the sources of its series.
//!
//! For: one round of questions to all of them, each in flight at most once, with answers that come late kept for the next
//! tick. Never judges an answer, never decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use trimtab_control::decision::{Action, Outcome, OutcomeState};
use trimtab_control::sample::{PoolReport, Sample};
use trimtab_control::signals::{Across, Within};

use super::executor::{Executor, outcome};
use super::held::Held;
use super::view::SourceView;
use crate::client::Client;
use crate::clock::Clock;
use crate::manifest::Scaler;
use crate::metrics::Metrics;
use crate::scrape::Scraper;
use crate::source::{self, SignalSpec, SourceSpec};
use crate::store::Store;
use crate::target::{self, Endpoint, Processes, Target, TargetReport, TargetSpec};

/// Notes shown of one workload.
const NOTES: usize = 32;

/// What connecting takes.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) processes: Processes,
    pub(crate) metrics: Arc<Metrics>,
}

/// See the module.
pub(super) struct Wiring {
    hands: Vec<Hand>,
    scraper: Scraper,
    sources: Vec<SourceSpec>,
}

/// One pool's target.
struct Hand {
    pool: Arc<str>,
    spec: TargetSpec,
    target: Arc<dyn Target>,
    executor: Executor,
    report: Arc<Latest>,
    asking: Option<AbortOnDropHandle<()>>,
}

/// What a target said last.
#[derive(Default)]
struct Latest {
    busy: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    report: Option<TargetReport>,
    /// The controller has not seen it.
    fresh: bool,
    /// Why the newest question got no answer.
    error: Option<String>,
}

impl Latest {
    fn said<R>(&self, f: impl FnOnce(&mut Said) -> R) -> R {
        f(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wiring {
    pub(super) fn connect(
        scaler: &Scaler,
        held: &Arc<Held>,
        environment: &Environment,
        outcomes: &mpsc::Sender<Outcome>,
    ) -> Wiring {
        let targets = scaler.targets.iter();
        let hands = targets.map(|(pool, spec)| Hand::connect(pool, spec, held, environment, outcomes)).collect();
        Wiring { hands, scraper: scraper(scaler, environment), sources: sources(scaler) }
    }

    /// Another manifest: what is the same stays connected. The other pools that were: an action of theirs may have been in
    /// flight, and its outcome is lost.
    pub(super) fn reconnect(
        &mut self,
        scaler: &Scaler,
        held: &Arc<Held>,
        environment: &Environment,
        outcomes: &mpsc::Sender<Outcome>,
    ) -> Vec<Arc<str>> {
        let mut before = std::mem::take(&mut self.hands);
        let mut kept = Vec::new();
        for (pool, spec) in &scaler.targets {
            let same = before.iter().position(|hand| *hand.pool == **pool && hand.spec == *spec);
            kept.push(same.map(|index| before.swap_remove(index)));
        }
        for ((pool, spec), hand) in scaler.targets.iter().zip(kept) {
            // The hand of before is let go when the new one is there: a target that knows the pool goes on with it.
            self.hands.push(hand.unwrap_or_else(|| Hand::connect(pool, spec, held, environment, outcomes)));
        }
        let gone: Vec<Arc<str>> = before.into_iter().map(|hand| hand.pool).collect();
        let wanted = sources(scaler);
        if wanted != self.sources || !gone.is_empty() {
            self.scraper = scraper(scaler, environment);
            self.sources = wanted;
        }
        gone
    }

    pub(super) fn targets(&self) -> Vec<Arc<dyn Target>> {
        self.hands.iter().map(|hand| Arc::clone(&hand.target)).collect()
    }

    /// Asks every target and reads every source, for no longer than `patience`.
    pub(super) async fn sample(&mut self, begun: Instant, patience: Duration) {
        let asked: Vec<_> = self.hands.iter_mut().filter_map(Hand::ask).collect();
        // Readings go to the addresses that reports name; a slow target must not take their time as well.
        let _ = timeout_at(begun + patience / 2, join_all(asked)).await;
        let endpoints = self.endpoints();
        let left = (begun + patience).saturating_duration_since(Instant::now());
        self.scraper.round(&endpoints, left).await;
        let work = self.scraper.work();
        for hand in &self.hands {
            let own = work.iter().filter(|(pool, ..)| *pool == hand.pool);
            let own: Vec<_> = own.map(|(_, replica, load, at)| (Arc::clone(replica), *load, *at)).collect();
            hand.target.note_work(&own);
        }
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let hands = self.hands.iter();
        hands
            .flat_map(|hand| hand.report.said(|s| s.report.as_ref().map_or(Vec::new(), |r| r.endpoints.clone())))
            .collect()
    }

    /// Reports that the controller has not seen.
    pub(super) fn take_reports(&self) -> Vec<PoolReport> {
        let fresh = |said: &mut Said| {
            let fresh = std::mem::take(&mut said.fresh);
            said.report.as_ref().filter(|_| fresh).map(|report| report.report.clone())
        };
        self.hands.iter().filter_map(|hand| hand.report.said(fresh)).collect()
    }

    pub(super) fn take_samples(&self) -> Vec<Sample> {
        self.scraper.drain()
    }

    pub(super) fn sources(&self) -> Vec<SourceView> {
        self.scraper.report()
    }

    /// What targets have to say, and those that say nothing.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for hand in &self.hands {
            hand.report.said(|said| {
                notes.extend(said.error.iter().map(|error| format!("{}: {error}", hand.pool)));
                let lines = said.report.iter().flat_map(|report| &report.notes);
                notes.extend(lines.map(|line| format!("{}: {line}", hand.pool)));
            });
        }
        notes.truncate(NOTES);
        notes
    }

    /// Hands an action to its pool; an outcome where that is known at once.
    pub(super) fn submit(&self, action: Action, fence: u64) -> Option<Outcome> {
        match self.hands.iter().find(|hand| *hand.pool == *action.pool) {
            Some(hand) => hand.executor.submit(action, fence),
            None => Some(outcome(&action, OutcomeState::Dropped, "the pool is not connected")),
        }
    }
}

fn page_signals(scaler: &Scaler) -> impl Iterator<Item = &SignalSpec> {
    let pages = scaler.sources.iter().filter_map(|(spec, _)| match spec {
        SourceSpec::Exposition(page) => Some(page),
        SourceSpec::Engine(_) => None,
    });
    pages.flat_map(|page| &page.signals)
}

/// The signals of pages that speak for the whole workload: missing while they do not.
pub(super) fn owed_by_pages(scaler: &Scaler) -> Vec<String> {
    page_signals(scaler).map(|signal| signal.name.clone()).collect()
}

/// The signals that each replica gives.
pub(super) fn owed_by_replicas(scaler: &Scaler) -> Vec<String> {
    let engines = scaler.sources.iter().filter(|(spec, _)| matches!(spec, SourceSpec::Engine(_)));
    engines.flat_map(|(spec, _)| spec.signals()).map(str::to_owned).collect()
}

/// How signals of sources merge where a policy does not say.
pub(super) fn signal_defaults(scaler: &Scaler) -> Vec<(String, Within, Across)> {
    page_signals(scaler)
        .map(|signal| {
            let within = match signal.within {
                None | Some(source::Within::Last) => Within::Last,
                Some(source::Within::Mean) => Within::Mean,
                Some(source::Within::Max) => Within::Max,
                Some(source::Within::Rate) => Within::Rate,
            };
            let across = match signal.across {
                None | Some(source::Across::Sum) => Across::Sum,
                Some(source::Across::Mean) => Across::Mean,
                Some(source::Across::Max) => Across::Max,
                Some(source::Across::Min) => Across::Min,
                Some(source::Across::Percentile(percent)) => Across::Percentile(percent),
            };
            (signal.name.clone(), within, across)
        })
        .collect()
}

fn sources(scaler: &Scaler) -> Vec<SourceSpec> {
    scaler.sources.iter().map(|(spec, _)| spec.clone()).collect()
}

fn scraper(scaler: &Scaler, environment: &Environment) -> Scraper {
    let Environment { client, clock, metrics, .. } = environment;
    let mut live: Vec<_> = scaler.sources.iter().map(|(spec, _)| source::connect(spec, client, clock)).collect();
    for (_, target) in &scaler.targets {
        if let TargetSpec::DryRun(dry) = target
            && !dry.signals.is_empty()
        {
            live.push(source::fixed(&dry.signals, clock));
        }
    }
    let limit = Duration::from_millis(scaler.config.interval.0).clamp(Duration::from_secs(1), Duration::from_secs(10));
    let metrics = Arc::clone(metrics);
    let on_reading = Box::new(move |source, took, failure| metrics.scraped(source, took, failure));
    Scraper::new(live, clock.clone(), on_reading, limit)
}

impl Hand {
    fn connect(
        pool: &str,
        spec: &TargetSpec,
        held: &Arc<Held>,
        environment: &Environment,
        outcomes: &mpsc::Sender<Outcome>,
    ) -> Hand {
        let Environment { client, clock, store, processes, .. } = environment;
        let target = target::connect(&held.id, pool, spec, client, store, clock, processes);
        let executor = Executor::start(Arc::clone(&target), Arc::clone(held), outcomes.clone());
        Hand { pool: pool.into(), spec: spec.clone(), target, executor, report: Arc::default(), asking: None }
    }

    /// Asks for a report, unless a question is in flight. What to wait for, where it is worth waiting.
    fn ask(&mut self) -> Option<impl Future<Output = ()> + use<>> {
        if self.report.busy.swap(true, Ordering::SeqCst) {
            return None;
        }
        let (target, latest) = (Arc::clone(&self.target), Arc::clone(&self.report));
        let (done, answered) = tokio::sync::oneshot::channel();
        self.asking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let answer = target.report().await;
            latest.said(|said| match answer {
                Ok(report) => *said = Said { report: Some(report), fresh: true, error: None },
                Err(error) => said.error = Some(error.to_string()),
            });
            latest.busy.store(false, Ordering::SeqCst);
            // Whoever asked may have gone on.
            let _ = done.send(());
        })));
        Some(async { drop(answered.await) })
    }
}
