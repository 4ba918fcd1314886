//! Keeps a workload's modules and manifest: swaps what fits, keeps what serves where it does not.
//!
//! For: one task per workload beside its loop, so that admission (which calls the modules) delays no tick. A swap takes
//! the controller for an instant between two ticks. Never changes a replica count.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use trimtab_control::config::Module;
use trimtab_control::policy::{Fault, Observation, Policy, Preparation};
use trimtab_control::time::Time;
use trimtab_control::{Controller, Slot, Tripped};
use trimtab_sandbox::{Admitted, Limits, Refusal, Stage};

use super::held::Held;
use super::measured::Measured;
use super::view::{Shared, StageView};
use super::workload::Event;
use crate::manifest::{Problem, Scaler};
use crate::modules::{Candidate, Key, Origin, Snapshot};
use crate::stages::{self, Fit, Rejected, Wish};

/// Versions that one stage has given up; beyond them they are tried again.
const REJECTED: usize = 64;

/// What the controller is given for one slot.
pub(super) struct Install {
    stage: String,
    slot: Slot,
    /// The module to put there; none: what is there stays.
    module: Option<Module>,
    /// Why the newest version is not it.
    refused: Option<Fault>,
}

impl Install {
    pub(super) fn apply(self, controller: &mut Controller, now: Time) {
        if let Some(module) = self.module {
            controller.install(&self.stage, self.slot, Ok(module), now);
        }
        if let Some(fault) = self.refused {
            controller.install(&self.stage, self.slot, Err(fault), now);
        }
    }
}

/// See the module.
pub(super) struct Steward {
    held: Arc<Held>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    /// The manifest in force.
    scaler: Arc<Scaler>,
    /// A newer one whose modules do not fit yet.
    wanted: Option<Arc<Scaler>>,
    generation: u64,
    /// What each wish was fitted to, so that a change elsewhere costs nothing.
    known: BTreeMap<(String, Slot), Known>,
    /// Refusals that were told.
    told: BTreeMap<(String, Slot), String>,
    /// Versions that failed too often here, by stage.
    rejected: BTreeMap<(String, Slot), Rejected>,
}

/// What a fit depended on, and what came of it.
struct Known {
    wish: Wish,
    signature: Signature,
    view: StageView,
    /// The digest that serves.
    serving: Option<String>,
}

/// The candidates of a name, what is wrong with its file, and the tenant's limits.
#[derive(PartialEq, Eq)]
struct Signature {
    limits: Arc<Limits>,
    key: Option<Key>,
    digests: Vec<String>,
    problem: Option<Refusal>,
}

impl Signature {
    fn of(wish: &Wish, namespace: &str, snapshot: &Snapshot) -> Signature {
        let entry = snapshot.resolve(namespace, &wish.module.policy);
        Signature {
            limits: Arc::clone(snapshot.limits(namespace)),
            key: entry.map(|entry| entry.key.clone()),
            digests: entry.into_iter().flat_map(|e| &e.candidates).map(|c| c.digest().to_owned()).collect(),
            problem: entry.and_then(|entry| entry.problem.clone()),
        }
    }
}

impl Steward {
    /// Before the workload's first tick: puts the modules found at the start behind its stages.
    pub(super) fn new(
        held: Arc<Held>,
        shared: Arc<Shared>,
        events: mpsc::Sender<Event>,
        scaler: Arc<Scaler>,
        generation: u64,
        fits: &[Fit],
    ) -> Steward {
        let mut steward = Steward {
            held,
            shared,
            events,
            scaler,
            wanted: None,
            generation,
            known: BTreeMap::new(),
            told: BTreeMap::new(),
            rejected: BTreeMap::new(),
        };
        let snapshot = steward.shared.modules.snapshot();
        let scaler = Arc::clone(&steward.scaler);
        let installs = steward.take(&scaler, &snapshot, fits);
        steward.install(installs);
        steward
    }

    /// Follows the modules and the manifest until told to stop.
    pub(super) async fn run(mut self, mut manifests: watch::Receiver<Arc<Scaler>>, stop: CancellationToken) {
        let mut modules = self.shared.modules.changes();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                changed = modules.changed() => if changed.is_err() { break },
                () = self.held.tripped.notified() => self.reject(),
                changed = manifests.changed() => {
                    if changed.is_err() { break }
                    let newest = manifests.borrow_and_update().clone();
                    self.wanted = (newest.digest != self.scaler.digest || newest != self.scaler).then_some(newest);
                    if self.wanted.is_none() {
                        self.held.set_problems(Vec::new());
                        self.held.publish();
                    }
                }
            }
            self = match self.follow().await {
                Some(steward) => steward,
                None => break,
            };
        }
    }

    /// One look at everything. None: the runtime is going down.
    async fn follow(mut self) -> Option<Steward> {
        if let Some(scaler) = self.wanted.clone() {
            let snapshot = self.shared.modules.snapshot();
            let (steward, fits) = blocking(self, move |steward| {
                let fits = steward.fit(&scaler, &stages::wishes(&scaler), &snapshot);
                (scaler, snapshot, fits)
            })
            .await?;
            self = steward;
            let (scaler, snapshot, fits) = fits;
            let problems: Vec<Problem> = fits.iter().flat_map(|fit| fit.problems(&scaler)).collect();
            if problems.is_empty() {
                self.adopt(scaler, &snapshot, &fits).await;
            } else if !self.held.has_problems(&problems) {
                for problem in &problems {
                    tracing::warn!(workload = %self.held.id, "the manifest in force stays: {problem}");
                }
                self.held.set_problems(problems);
                self.held.publish();
            }
        }
        let snapshot = self.shared.modules.snapshot();
        let stale: Vec<Wish> =
            stages::wishes(&self.scaler).into_iter().filter(|w| self.is_stale(w, &snapshot)).collect();
        if !stale.is_empty() {
            let scaler = Arc::clone(&self.scaler);
            let (steward, swapped) = blocking(self, move |steward| {
                let fits = steward.fit(&scaler, &stale, &snapshot);
                let installs = steward.take(&scaler, &snapshot, &fits);
                steward.install(installs)
            })
            .await?;
            self = steward;
            if swapped {
                // The loop has ended: so will this task.
                let _ = self.events.send(Event::Swapped).await;
            }
        }
        Some(self)
    }

    /// Takes note of modules that tripped: their stages are fitted again, with the versions before them.
    fn reject(&mut self) {
        for Tripped { stage, slot, digest, fault } in self.held.with(Controller::take_tripped) {
            tracing::error!(
                workload = %self.held.id, stage, digest, code = fault.code,
                "the version is given up, because it failed before it was confirmed: {}", fault.message
            );
            let refusal = Refusal::new(Stage::Serve, "breaker", format!("{}, {}", fault.code, fault.message))
                .hint("the version before it serves on; mend it, or start the daemon again to try it once more");
            let place = (stage, slot);
            self.known.remove(&place);
            let rejected = self.rejected.entry(place).or_default();
            if rejected.len() >= REJECTED {
                rejected.clear();
            }
            rejected.insert(digest, refusal);
        }
    }

    /// Finds modules, among the versions that were not given up here.
    fn fit(&self, scaler: &Scaler, wishes: &[Wish], snapshot: &Snapshot) -> Vec<Fit> {
        let none = Rejected::new();
        let rejected = |wish: &Wish| self.rejected.get(&(wish.stage.clone(), wish.slot)).unwrap_or(&none);
        wishes.iter().map(|wish| stages::fit(scaler, wish, snapshot, &self.look(), rejected(wish))).collect()
    }

    fn is_stale(&self, wish: &Wish, snapshot: &Snapshot) -> bool {
        let known = self.known.get(&(wish.stage.clone(), wish.slot));
        known.is_none_or(|known| {
            known.wish != *wish || known.signature != Signature::of(wish, &self.held.id.namespace, snapshot)
        })
    }

    /// What a probe decides on: the newest observation, a made-up one before the first.
    fn look(&self) -> impl Fn(&Wish, &Preparation, u32) -> (Observation, Vec<u8>) + use<> {
        let held = Arc::clone(&self.held);
        move |wish, preparation, state_version| {
            if !held.seat.view.load().ticked {
                return stages::made_up(wish, preparation, state_version);
            }
            let now = held.clock.now();
            held.with(|controller| {
                let observation = controller.observation(&wish.stage, &preparation.needs, now);
                (observation, controller.state(&wish.stage, wish.slot, &wish.module.policy, state_version).to_vec())
            })
        }
    }

    /// The next manifest takes over: the loop is told, and has taken it when this returns.
    async fn adopt(&mut self, scaler: Arc<Scaler>, snapshot: &Snapshot, fits: &[Fit]) {
        self.known.clear();
        self.generation += 1;
        let installs = self.take(&scaler, snapshot, fits);
        self.wanted = None;
        self.scaler = Arc::clone(&scaler);
        self.held.set_problems(Vec::new());
        let (done, taken) = oneshot::channel();
        let change = Event::Change { scaler, generation: self.generation, installs, done };
        if self.events.send(change).await.is_ok() {
            let _ = taken.await;
            tracing::info!(workload = %self.held.id, generation = self.generation, "the changed manifest is in force");
        }
    }

    /// Notes what came of fits, tells the modules, and says what the controller is given.
    fn take(&mut self, scaler: &Scaler, snapshot: &Snapshot, fits: &[Fit]) -> Vec<Install> {
        let workload = self.held.id.to_string();
        let mut installs = Vec::new();
        for fit in fits {
            let wish = &fit.wish;
            let signature = Signature::of(wish, &scaler.config.id.namespace, snapshot);
            if let Some(key) = &fit.key {
                for (digest, verdict) in &fit.verdicts {
                    self.shared.modules.report(key, &workload, digest, verdict.as_ref().map(drop));
                }
            }
            self.tell(fit);
            if wish.slot == Slot::Shadow {
                self.held.set_shadow(&wish.stage, fit.shadow_problems(scaler));
            }
            if let Some((admitted, _)) = &fit.serves {
                self.held.keep_module(admitted.digest(), admitted.bytes());
            }
            let view = StageView { key: fit.key.clone(), source: origin(fit, snapshot) };
            let serving = fit.serves.as_ref().map(|(admitted, _)| admitted.digest().to_owned());
            self.known.insert((wish.stage.clone(), wish.slot), Known { wish: wish.clone(), signature, view, serving });
            installs.push(Install {
                stage: wish.stage.clone(),
                slot: wish.slot,
                module: fit.module(|admitted| self.measured(admitted, &wish.module.policy)),
                refused: fit.refusal.as_ref().map(fault),
            });
        }
        let shadowed = scaler.config.stages.iter().filter(|stage| stage.shadow.is_some());
        self.held.keep_shadows(&shadowed.map(|stage| stage.name.clone()).collect::<Vec<_>>());
        self.tell_serving();
        let stage_views = scaler.config.stages.iter().map(|stage| {
            let known = self.known.get(&(stage.name.clone(), Slot::Stage));
            known.map_or(StageView { key: None, source: None }, |known| known.view.clone())
        });
        self.held.set_stages(stage_views.collect());
        installs
    }

    /// Which versions serve, for the metrics. Fits of a part of the stages leave the others as they were.
    fn tell_serving(&self) {
        let known = self.known.values();
        let serving = known.filter_map(|known| Some((known.wish.module.policy.clone(), known.serving.clone()?)));
        self.held.metrics.policies_serving(&self.held.id, serving.collect());
    }

    /// One line and one count for each new refusal.
    fn tell(&mut self, fit: &Fit) {
        let slot = (fit.wish.stage.clone(), fit.wish.slot);
        let Some((digest, refusal)) = fit.verdicts.iter().find_map(|(d, v)| Some((d, v.as_ref().err()?))) else {
            self.told.remove(&slot);
            return;
        };
        let line = format!("{digest} {refusal}");
        if self.told.get(&slot) == Some(&line) {
            return;
        }
        tracing::warn!(
            workload = %self.held.id, stage = fit.wish.stage, policy = fit.wish.module.policy, digest,
            "policy refused, {}: {refusal}",
            if fit.serves.is_some() { "the last good version serves on" } else { "nothing serves" }
        );
        let tenant = &self.held.id.namespace;
        self.held.metrics.policy_load(tenant, &fit.wish.module.policy, refusal.stage.as_str(), refusal.code);
        self.told.insert(slot, line);
    }

    /// Puts modules behind stages, between two ticks. True: one of them is another than before.
    fn install(&self, installs: Vec<Install>) -> bool {
        let now = self.held.clock.now();
        let mut swapped = false;
        self.held.with(|controller| {
            for install in installs {
                let before = controller.installed(&install.stage, install.slot).map(|m| m.digest.clone());
                if let Some(module) = &install.module
                    && before.as_ref() != Some(&module.digest)
                {
                    swapped = true;
                    tracing::info!(
                        workload = %self.held.id, stage = install.stage, digest = module.digest, before,
                        "{}",
                        if before.is_some() { "policy swapped" } else { "policy loaded" }
                    );
                }
                let (stage, slot) = (install.stage.clone(), install.slot);
                let gives_way = before.is_some_and(|before| {
                    let given_up = |rejected: &Rejected| rejected.contains_key(&before);
                    install.module.as_ref().is_some_and(|module| module.digest != before)
                        && self.rejected.get(&(stage.clone(), slot)).is_some_and(given_up)
                });
                install.apply(controller, now);
                if gives_way {
                    controller.restore_previous_state(&stage, slot);
                }
            }
        });
        if swapped {
            self.held.raise_fence();
        }
        self.held.publish();
        swapped
    }

    fn measured(&self, admitted: Admitted, policy: &str) -> Arc<dyn Policy> {
        let (metrics, tenant) = (Arc::clone(&self.held.metrics), self.held.id.namespace.clone());
        Arc::new(Measured { admitted, shared: Arc::clone(&self.shared), metrics, tenant, policy: policy.to_owned() })
    }
}

/// Runs `f` where waiting for modules delays nobody. None: the runtime is going down, or `f` panicked.
async fn blocking<R: Send + 'static>(
    mut steward: Steward,
    f: impl FnOnce(&mut Steward) -> R + Send + 'static,
) -> Option<(Steward, R)> {
    let id = steward.held.id.clone();
    let task = tokio::task::spawn_blocking(move || {
        let result = f(&mut steward);
        (steward, result)
    });
    task.await.inspect_err(|error| tracing::error!(workload = %id, %error, "modules are no longer followed")).ok()
}

fn fault(refusal: &Refusal) -> Fault {
    Fault { code: refusal.code.to_owned(), message: refusal.to_string() }
}

fn origin(fit: &Fit, snapshot: &Snapshot) -> Option<Origin> {
    let (admitted, _) = fit.serves.as_ref()?;
    let key = fit.key.as_ref()?;
    let entry = snapshot.entries().find(|entry| entry.key == *key)?;
    entry.candidates.iter().find(|candidate| candidate.digest() == admitted.digest()).map(Candidate::origin)
}
