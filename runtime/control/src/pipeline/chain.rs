//! The modules behind the stages, each with the configuration it was admitted for.
//!
//! For: swaps between ticks. A module that could not be loaded leaves the last good one serving; a stage that stays in
//! the chain keeps its state, for the policy that wrote it. Never calls a module.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::memory::Memory;
use super::{Called, breaker};
use crate::config::{Module, StageConfig};
use crate::policy::{Fault, MetricNeed};
use crate::saved::{SavedState, Slot, writer_key};
use crate::time::Time;

/// A module with the configuration it was admitted for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// The policy's name, as the configuration had it.
    pub(crate) policy: String,
    pub(crate) module: Module,
    pub(crate) config: String,
}

/// One slot of one stage.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) loaded: Option<Loaded>,
    /// Why the newest module was not taken.
    pub(crate) refused: Option<Fault>,
    pub(crate) memory: Memory,
    pub(crate) breaker: Breaker,
}

/// A module that failed so often, so soon after it took over, that the one before it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tripped {
    /// The stage.
    pub stage: String,
    /// Which module of it.
    pub slot: Slot,
    /// The module's digest.
    pub digest: String,
    /// How it failed last.
    pub fault: Fault,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cells {
    name: String,
    own: Cell,
    fallback: Cell,
    shadow: Cell,
    /// Why its last call gave no answer.
    failed: Option<Fault>,
}

/// See the module.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Chain {
    stages: Vec<Cells>,
    /// States that were saved for stages that are not there now; a stage that comes back finds its own.
    orphans: Vec<SavedState>,
    /// Who wrote them.
    writers: BTreeMap<String, String>,
}

/// Most states kept for stages that left the chain.
const MAX_ORPHANS: usize = 32;

impl Chain {
    /// From what was saved; `writers`: see [`SavedFacts`](crate::saved::SavedFacts).
    pub(crate) fn restored(states: Vec<SavedState>, writers: BTreeMap<String, String>) -> Self {
        Chain { stages: Vec::new(), orphans: states, writers }
    }

    /// The stages of a new configuration. Those that remain keep module and state.
    pub(crate) fn reconfigure(&mut self, stages: &[StageConfig]) {
        let mut before = std::mem::take(&mut self.stages);
        for stage in stages {
            let cells = match before.iter().position(|c| c.name == stage.name) {
                Some(index) => before.swap_remove(index),
                None => self.adopt(&stage.name),
            };
            self.stages.push(cells);
        }
        for gone in before {
            self.orphans.extend(gone.save());
            self.writers.extend(gone.writers());
        }
        let excess = self.orphans.len().saturating_sub(MAX_ORPHANS);
        self.orphans.drain(..excess);
        let kept: BTreeSet<String> = self.orphans.iter().map(|o| writer_key(&o.stage, o.slot, o.previous)).collect();
        self.writers.retain(|key, _| kept.contains(key));
    }

    fn adopt(&mut self, name: &str) -> Cells {
        let mut cells = Cells {
            name: name.to_owned(),
            own: Cell::default(),
            fallback: Cell::default(),
            shadow: Cell::default(),
            failed: None,
        };
        for state in self.orphans.extract_if(.., |o| o.stage == name) {
            cells.cell_mut(state.slot).memory.restore(state, &self.writers);
        }
        cells
    }

    /// Takes a module in, or notes why there is none. Unknown stages are ignored: the configuration has moved on.
    pub(crate) fn install(&mut self, config: &[StageConfig], stage: &str, slot: Slot, module: Result<Module, Fault>) {
        let Some(named) = config.iter().find(|s| s.name == stage).and_then(|s| s.module_for(slot)) else { return };
        let Some(cells) = self.stages.iter_mut().find(|c| c.name == stage) else { return };
        let cell = cells.cell_mut(slot);
        match module {
            Ok(module) => {
                let same = |before: &Loaded| before.module.digest == module.digest && before.config == named.config;
                if !cell.loaded.as_ref().is_some_and(same) {
                    cell.breaker = Breaker::default();
                }
                cell.memory.swap(&module.digest);
                cell.loaded = Some(Loaded { policy: named.policy.clone(), module, config: named.config.clone() });
                cell.refused = None;
                if slot == Slot::Stage {
                    cells.failed = None;
                }
            }
            Err(fault) => cell.refused = Some(fault),
        }
    }

    pub(crate) fn cell(&self, index: usize, slot: Slot) -> Option<&Cell> {
        Some(self.stages.get(index)?.cell(slot))
    }

    pub(crate) fn named(&self, stage: &str, slot: Slot) -> Option<&Cell> {
        self.cell(self.stages.iter().position(|c| c.name == stage)?, slot)
    }

    pub(crate) fn cell_mut(&mut self, stage: &str, slot: Slot) -> Option<&mut Cell> {
        Some(self.stages.iter_mut().find(|c| c.name == stage)?.cell_mut(slot))
    }

    /// Every module whose answer may count, in the order of the chain.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = ((usize, Slot), &Loaded)> {
        let places = (0..self.stages.len()).flat_map(|index| [(index, Slot::Stage), (index, Slot::Fallback)]);
        places.filter_map(|(index, slot)| Some(((index, slot), self.cell(index, slot)?.loaded.as_ref()?)))
    }

    /// Every module there is, to put a policy behind it.
    pub(crate) fn modules_mut(&mut self) -> impl Iterator<Item = &mut Module> {
        let cells = self.stages.iter_mut().flat_map(|c| [&mut c.own, &mut c.fallback, &mut c.shadow]);
        cells.filter_map(|c| c.loaded.as_mut()).map(|l| &mut l.module)
    }

    /// Every module that is only asked.
    pub(crate) fn shadows(&self) -> impl Iterator<Item = ((usize, Slot), &Loaded)> {
        let stages = self.stages.iter().enumerate();
        stages.filter_map(|(index, cells)| Some(((index, Slot::Shadow), cells.shadow.loaded.as_ref()?)))
    }

    /// What every module needs whose answer may count, each need once.
    pub(crate) fn needs(&self) -> Vec<MetricNeed> {
        once(self.loaded())
    }

    /// What the others need.
    pub(crate) fn shadow_needs(&self) -> Vec<MetricNeed> {
        once(self.shadows())
    }

    /// Notes how a stage's last call went.
    pub(crate) fn note(&mut self, index: usize, failed: Option<Fault>) {
        if let Some(cells) = self.stages.get_mut(index) {
            cells.failed = failed;
        }
    }

    /// Why a stage's last call gave no answer.
    pub(crate) fn failed(&self, index: usize) -> Option<&Fault> {
        self.stages.get(index)?.failed.as_ref()
    }

    pub(crate) fn commit(&mut self, index: usize, slot: Slot, state: Option<Vec<u8>>) {
        let Some(cell) = self.stages.get_mut(index).map(|cells| cells.cell_mut(slot)) else { return };
        if let Some(loaded) = &cell.loaded {
            cell.memory.commit(&loaded.policy, loaded.module.state_version, state);
        }
    }

    /// How a call went. Some: the module was never confirmed, and has now failed too often.
    pub(crate) fn note_call(&mut self, called: Called, now: Time) -> Option<Tripped> {
        let cells = self.stages.get_mut(called.stage)?;
        let cell = cells.cell_mut(called.slot);
        if called.fault.as_ref().is_some_and(|fault| fault.code == "bad-state") {
            cell.memory.refuse();
        }
        let opened = cell.breaker.note(called.fault.as_ref(), now);
        let fault = called.fault.filter(|_| opened && !cell.memory.is_confirmed())?;
        let digest = cell.loaded.as_ref()?.module.digest.clone();
        let message = format!("{} failures in a row; the last: {}: {}", breaker::FAILURES, fault.code, fault.message);
        Some(Tripped { stage: cells.name.clone(), slot: called.slot, digest, fault: Fault { message, ..fault } })
    }

    /// Who wrote each saved state.
    pub(crate) fn writers(&self) -> BTreeMap<String, String> {
        self.writers.clone().into_iter().chain(self.stages.iter().flat_map(Cells::writers)).collect()
    }

    pub(crate) fn save(&self) -> Vec<SavedState> {
        self.stages.iter().flat_map(Cells::save).chain(self.orphans.iter().cloned()).collect()
    }
}

fn once<'a>(modules: impl Iterator<Item = ((usize, Slot), &'a Loaded)>) -> Vec<MetricNeed> {
    let mut needs: Vec<MetricNeed> = Vec::new();
    for need in modules.flat_map(|(_, l)| &l.module.preparation.needs) {
        if !needs.contains(need) {
            needs.push(need.clone());
        }
    }
    needs
}

impl Cells {
    fn cell(&self, slot: Slot) -> &Cell {
        match slot {
            Slot::Stage => &self.own,
            Slot::Fallback => &self.fallback,
            Slot::Shadow => &self.shadow,
        }
    }

    fn cell_mut(&mut self, slot: Slot) -> &mut Cell {
        match slot {
            Slot::Stage => &mut self.own,
            Slot::Fallback => &mut self.fallback,
            Slot::Shadow => &mut self.shadow,
        }
    }

    fn save(&self) -> impl Iterator<Item = SavedState> {
        Slot::ALL.into_iter().flat_map(|slot| self.cell(slot).memory.save(&self.name, slot))
    }

    fn writers(&self) -> impl Iterator<Item = (String, String)> {
        Slot::ALL.into_iter().flat_map(|slot| self.cell(slot).memory.writers(&self.name, slot))
    }
}
