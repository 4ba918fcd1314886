//! Which series are asked for, and by whom: found out when a module or the configuration changes, not at every tick.
//!
//! For: `propose`, which answers each need once and hands it to every module that has it. Never answers.

use std::collections::BTreeSet;

use super::view;
use crate::config::WorkloadConfig;
use crate::pipeline::{Chain, Loaded};
use crate::policy::MetricNeed;
use crate::saved::Slot;

/// A module's place, and where its needs stand among all.
type Places = Vec<((usize, Slot), Vec<usize>)>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Of the chain first, each once; then what only rules look at.
    pub(super) needs: Vec<MetricNeed>,
    /// So many are of the chain.
    pub(super) of_chain: usize,
    places: Places,
    /// Of shadows. They are answered apart: they must not take room from what counts.
    pub(super) shadow_needs: Vec<MetricNeed>,
    shadow_places: Places,
}

impl Asked {
    pub(super) fn of(chain: &Chain, config: &WorkloadConfig) -> Asked {
        let mut needs = chain.needs();
        let of_chain = needs.len();
        let mut signals: BTreeSet<&str> = BTreeSet::new();
        for zero in config.pools.iter().filter_map(|p| p.zero.as_ref()) {
            signals.extend(["queue-depth", "active-sequences"]);
            signals.extend(zero.wake_on.iter().map(|rule| rule.signal.as_str()));
        }
        for signal in signals {
            if !needs.iter().any(|n| n.signal == signal) {
                needs.push(view::newest(signal));
            }
        }
        let shadow_needs = chain.shadow_needs();
        let (places, shadow_places) = (places(chain.loaded(), &needs), places(chain.shadows(), &shadow_needs));
        Asked { needs, of_chain, places, shadow_needs, shadow_places }
    }

    /// How many modules may look.
    pub(super) fn modules(&self) -> usize {
        self.places.len() + self.shadow_places.len()
    }

    /// Which needs go into one observation together.
    pub(super) fn observations(&self) -> Vec<Vec<usize>> {
        self.places.iter().map(|(_, needs)| needs.clone()).collect()
    }

    pub(super) fn shadow_observations(&self) -> Vec<Vec<usize>> {
        self.shadow_places.iter().map(|(_, needs)| needs.clone()).collect()
    }

    /// The needs of one module, in its order.
    pub(super) fn places(&self, index: usize, slot: Slot) -> &[usize] {
        let places = if slot == Slot::Shadow { &self.shadow_places } else { &self.places };
        places.iter().find(|(place, _)| *place == (index, slot)).map_or(&[], |(_, needs)| needs)
    }
}

fn places<'a>(modules: impl Iterator<Item = ((usize, Slot), &'a Loaded)>, all: &[MetricNeed]) -> Places {
    let place = |need: &MetricNeed| all.iter().position(|n| n == need);
    modules.map(|(at, loaded)| (at, loaded.module.preparation.needs.iter().filter_map(place).collect())).collect()
}
