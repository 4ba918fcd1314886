//! Computing a journal again: entry after entry into a controller, decision against decision.
//!
//! For: `trimtab replay`, and every test that claims the same bytes. With other modules or another configuration it shows
//! what they would have decided on the same inputs; that is an open loop: load and replicas stay as they were recorded.
//! Never opens a file: modules are found by whoever has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Entry;
use super::made::{Numbers, Part};
use super::tape::Decoder;
use super::wire::Malformed;
use crate::Controller;
use crate::config::{Module, ModuleRef, StageConfig, WorkloadConfig};
use crate::decision::{Decision, Outcome, OutcomeState};
use crate::policy::{Fault, Policy};
use crate::sample::Intake;
use crate::saved::Slot;
use crate::time::Time;

/// Gives a module's policy by its digest.
pub type Find<'m> = &'m dyn Fn(&str) -> Option<Arc<dyn Policy>>;

/// What is asked instead of what was.
pub struct Other<'m> {
    /// Another configuration, whose chain is asked instead of the recorded one.
    pub config: Option<WorkloadConfig>,
    /// The module to put where the configuration has that reference; `recorded` is what was there, under the same policy's
    /// name. None: that.
    pub module: &'m dyn Fn(&ModuleRef, Option<&Module>) -> Option<Module>,
}

/// One decision, as it was and as it was computed.
#[derive(Debug, Clone)]
pub struct Tick<'a> {
    /// Numbers per pool as they were recorded, in the order of the recorded configuration.
    pub recorded: Vec<(String, Numbers)>,
    /// The first part that differs; none: all is the same. Without meaning where another policy was asked.
    pub differs: Option<Part>,
    /// What was computed.
    pub decision: &'a Decision,
}

/// What a tick says beside the decision.
type Told = (Vec<(String, Numbers)>, Option<Part>);

/// See the module.
pub struct Replay<'m> {
    find: Find<'m>,
    other: Option<Other<'m>>,
    decoder: Decoder,
    controller: Option<Controller>,
    /// The recorded configuration.
    config: Option<WorkloadConfig>,
    /// Modules as they were recorded, by policy's name: what another configuration finds.
    modules: BTreeMap<String, Module>,
    /// Pools in which another policy is of another mind, with what it asked for last: serving, standby.
    apart: BTreeMap<String, (u32, u32)>,
}

impl<'m> Replay<'m> {
    /// Before the first segment.
    pub fn new(find: Find<'m>, other: Option<Other<'m>>) -> Self {
        Replay {
            find,
            other,
            decoder: Decoder::default(),
            controller: None,
            config: None,
            modules: BTreeMap::new(),
            apart: BTreeMap::new(),
        }
    }

    /// Begins a segment. `goes_on`: nothing is missing since the one before. False: the state that was computed is not the
    /// state that was recorded.
    pub fn begin(&mut self, snapshot: &[u8], goes_on: bool) -> Result<bool, Malformed> {
        self.decoder = Decoder::default();
        let before = self.controller.take().filter(|_| goes_on);
        if self.other.is_none() && before.as_ref().is_some_and(|before| before.snapshot() == snapshot) {
            self.controller = before;
            return Ok(true);
        }
        let mut restored = self.controller_from(snapshot)?;
        self.config = Some(restored.config().clone());
        if self.other.is_some() {
            for (reference, module) in restored.modules() {
                self.modules.insert(reference, module);
            }
            // Another policy goes on from its own state.
            self.controller = Some(match before {
                Some(before) => before,
                None => {
                    self.apart.clear();
                    self.put_other(&mut restored, Time(0));
                    restored
                }
            });
            return Ok(true);
        }
        self.controller = Some(restored);
        Ok(before.is_none())
    }

    fn controller_from(&self, snapshot: &[u8]) -> Result<Controller, Malformed> {
        Controller::restored(snapshot, self.find)
    }

    /// Takes the entries of one tape in, and tells each decision.
    pub fn take(&mut self, taped: &[u8], tell: &mut dyn FnMut(&Tick<'_>)) -> Result<(), Malformed> {
        let mut decoder = std::mem::take(&mut self.decoder);
        let read = decoder.read(taped, |entry| {
            let Some(mut controller) = self.controller.take() else { return };
            let told = if self.other.is_some() {
                self.ask(&mut controller, entry)
            } else {
                self.again(&mut controller, entry)
            };
            if let (Some((recorded, differs)), Some(decision)) = (told, controller.decisions().next()) {
                tell(&Tick { recorded, differs, decision });
            }
            self.controller = Some(controller);
        });
        self.decoder = decoder;
        read
    }

    /// What was recorded, once more.
    fn again(&mut self, controller: &mut Controller, entry: Entry) -> Option<Told> {
        match entry {
            Entry::Observe { intake, now } => controller.observe(intake, now),
            Entry::Propose { now, fallen } => controller.propose_again(now, fallen),
            Entry::Decide { now, grant, made } => {
                controller.make(&grant, now);
                let differs = controller.take_made().and_then(|again| made.differs(&again));
                return Some((self.named(&made.numbers), differs));
            }
            Entry::Record { now, outcome } => controller.record(outcome, now),
            // What was refused then is refused again.
            Entry::Command { now, command } => drop(controller.command(command, now)),
            Entry::Reconfigure { now, config } => {
                self.config = Some((*config).clone());
                controller.reconfigure(*config, now);
            }
            Entry::Install { now, stage, slot, module } => {
                controller.install(&stage, slot, module.map(|module| self.found(module)), now);
            }
            Entry::RestorePrevious { stage, slot } => drop(controller.restore_previous_state(&stage, slot)),
            Entry::SourcePeriod(period) => controller.set_source_period(period),
            Entry::SignalDefaults { signal, within, across } => controller.set_signal_defaults(&signal, within, across),
            Entry::PageSignals(signals) => controller.set_page_signals(&signals),
            Entry::ReplicaSignals(signals) => controller.set_replica_signals(&signals),
            Entry::LetGo { pool } => controller.let_go(&pool),
        }
        None
    }

    fn found(&self, module: Module) -> Module {
        match (self.find)(&module.digest) {
            Some(policy) => Module { policy, ..module },
            None => module,
        }
    }

    fn named(&self, numbers: &[Numbers]) -> Vec<(String, Numbers)> {
        let pools = self.config.iter().flat_map(|config| &config.pools);
        pools.map(|pool| pool.name.clone()).zip(numbers.iter().copied()).collect()
    }

    /// The same inputs to another policy. Where it is of another mind, what it asked for counts as taken.
    fn ask(&mut self, controller: &mut Controller, entry: Entry) -> Option<Told> {
        match entry {
            Entry::Observe { intake, now } => controller.observe(self.as_if(intake), now),
            Entry::Propose { now, mut fallen } => {
                let name = |index: usize| controller.config().stages.get(index).map(|stage| stage.name.clone());
                fallen.retain(|f| name(f.stage).is_some_and(|stage| self.is_as_recorded(controller, &stage, f.slot)));
                controller.propose_again(now, fallen);
            }
            Entry::Decide { now, grant, made } => {
                let decision = controller.decide(&grant, now);
                let recorded = self.named(&made.numbers);
                self.compare(controller, &decision, &recorded, now);
                return Some((recorded, None));
            }
            Entry::Record { now, outcome } if !self.apart.contains_key(&outcome.pool) => {
                controller.record(outcome, now);
            }
            Entry::Record { .. } => {}
            Entry::RestorePrevious { stage, slot } => {
                if self.is_as_recorded(controller, &stage, slot) {
                    controller.restore_previous_state(&stage, slot);
                }
            }
            Entry::Reconfigure { now, config } => {
                self.config = Some((*config).clone());
                if self.other.as_ref().is_some_and(|other| other.config.is_none()) {
                    controller.reconfigure(*config, now);
                    self.put_modules(controller, now);
                }
            }
            Entry::Install { now, module: Ok(module), stage, slot } => {
                let module = self.found(module);
                self.remember(&stage, slot, module.clone());
                if self.is_as_recorded(controller, &stage, slot) {
                    // Also the same module again: what was refused meanwhile is forgotten by it.
                    controller.install(&stage, slot, Ok(module), now);
                }
                self.put_modules(controller, now);
            }
            Entry::Install { now, module, stage, slot } => {
                if self.is_as_recorded(controller, &stage, slot) {
                    controller.install(&stage, slot, module, now);
                }
            }
            entry => return self.again(controller, entry),
        }
        None
    }

    /// A module that was recorded, under the name of the policy whose place it took.
    fn remember(&mut self, stage: &str, slot: Slot, module: Module) {
        let stages = self.config.iter().flat_map(|config| &config.stages);
        let named = stages.filter(|s| s.name == stage).find_map(|s| s.module_for(slot)).cloned();
        if let Some(reference) = named {
            self.modules.insert(reference.policy, module);
        }
    }

    /// Whether what is asked in that place is what was asked then.
    fn is_as_recorded(&self, controller: &Controller, stage: &str, slot: Slot) -> bool {
        let Some(other) = self.other.as_ref().filter(|other| other.config.is_none()) else { return false };
        let places = references(controller.config());
        let place = places.iter().find(|(name, of, _)| name == stage && *of == slot);
        place.is_some_and(|(.., reference)| (other.module)(reference, self.modules.get(&reference.policy)).is_none())
    }

    fn put_other(&mut self, controller: &mut Controller, now: Time) {
        if let Some(config) = self.other.as_ref().and_then(|other| other.config.clone()) {
            controller.reconfigure(config, now);
        }
        self.put_modules(controller, now);
    }

    /// Puts a module behind every stage: another, or that which was recorded.
    fn put_modules(&self, controller: &mut Controller, now: Time) {
        let Some(other) = &self.other else { return };
        for (stage, slot, reference) in references(controller.config()) {
            let recorded = self.modules.get(&reference.policy);
            let module = (other.module)(&reference, recorded);
            if module.is_none() && other.config.is_none() {
                continue; // as it was recorded
            }
            let module = module.or_else(|| recorded.cloned());
            let known = module.as_ref().map(|module| (&module.digest, &module.preparation));
            if known.is_some() && controller.installed(&stage, slot).map(|m| (&m.digest, &m.preparation)) == known {
                continue;
            }
            let none = || Fault { code: "not-loaded".to_owned(), message: "there is no such module".to_owned() };
            controller.install(&stage, slot, module.ok_or_else(none), now);
        }
    }

    /// Targets report what was asked of them: in an open loop, what the other policy asked for.
    fn as_if(&self, mut intake: Intake) -> Intake {
        for report in &mut intake.pools {
            if let Some((serving, standby)) = self.apart.get(&*report.pool) {
                (report.desired, report.standby) = (*serving, *standby);
            }
        }
        intake
    }

    fn compare(&mut self, controller: &mut Controller, made: &Decision, recorded: &[(String, Numbers)], now: Time) {
        for pool in &made.pools {
            let was = recorded.iter().find(|(name, _)| *name == pool.name).map(|(_, n)| *n);
            let agrees = was.is_some_and(|n| (n.to, n.standby_to) == (pool.to, pool.standby_to));
            // A change that was recorded may have failed: where both want the same, and it is there, they meet again.
            let there = was.is_some_and(|n| n.from == n.to && n.standby_from == n.standby_to);
            if agrees && (there || !self.apart.contains_key(&pool.name)) {
                self.apart.remove(&pool.name);
                continue;
            }
            self.apart.insert(pool.name.clone(), (pool.to, pool.standby_to));
            if pool.outcome.is_none() {
                let (decision, message) = (made.id.clone(), String::new());
                let outcome = Outcome { decision, pool: pool.name.clone(), state: OutcomeState::Applied, message };
                controller.record(outcome, now);
            }
        }
    }
}

/// Every place for a module, in the order of the chain.
fn references(config: &WorkloadConfig) -> Vec<(String, Slot, ModuleRef)> {
    let places = |stage: &StageConfig| -> Vec<_> {
        stage.slots().map(|(slot, module)| (stage.name.clone(), slot, module.clone())).collect()
    };
    config.stages.iter().flat_map(places).collect()
}
