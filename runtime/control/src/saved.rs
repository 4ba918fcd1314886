//! What a controller keeps over a restart.
//!
//! For: the store, which writes it down and hands it back. A restart then changes no replica count by itself: cooldowns,
//! rates, start-up times, standing orders and policy states go on where they were. Never holds samples.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::command::Standing;
use crate::decision::Decision;
use crate::time::{Span, Time};

/// Which module of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The stage's own.
    Stage,
    /// The one that takes its place when it fails.
    Fallback,
    /// The one that is asked beside it, and never followed.
    Shadow,
}

impl Slot {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Slot; 3] = [Slot::Stage, Slot::Fallback, Slot::Shadow];

    /// Its name in what is kept.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Slot::Stage => "stage",
            Slot::Fallback => "fallback",
            Slot::Shadow => "shadow",
        }
    }
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Small, and the same for every workload.
    pub facts: SavedFacts,
    /// One per stage and slot that has a state.
    pub states: Vec<SavedState>,
}

/// One module's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// The stage's name.
    pub stage: String,
    /// Which module of it.
    pub slot: Slot,
    /// The state version it was written by.
    pub version: u32,
    /// The module that wrote it.
    pub digest: String,
    /// At most 64 KiB.
    pub bytes: Vec<u8>,
    /// Good decisions of this module so far, up to the number that confirms it.
    pub good: u32,
    /// True for the state of the version before, kept until the new one is confirmed.
    pub previous: bool,
}

/// Everything but policy states.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedFacts {
    /// Running number of decisions.
    pub sequence: u64,
    /// Per pool.
    pub pools: BTreeMap<String, PoolMemory>,
    /// A pause in force.
    pub pause: Option<Standing>,
    /// An override in force.
    pub order: Option<Standing>,
    /// Signals that ever had a good value.
    pub seen: BTreeSet<String>,
    /// Those that replicas gave, whoever else did.
    pub spoken: BTreeSet<String>,
    /// Decisions that changed something, oldest first, and the last one.
    pub decisions: VecDeque<Decision>,
    /// Decisions that the check dropped.
    pub violations: u64,
    /// The policy that wrote each state, by `STAGE/SLOT`, with `/previous` for that of the version before. A state that
    /// is not named was kept by a daemon that did not know.
    pub writers: BTreeMap<String, String>,
}

/// Where [`SavedFacts::writers`] names the policy of a state.
pub(crate) fn writer_key(stage: &str, slot: Slot, previous: bool) -> String {
    format!("{stage}/{}{}", slot.as_str(), if previous { "/previous" } else { "" })
}

/// What a controller remembers of one pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolMemory {
    /// Changes that were asked for, oldest first, as far back as a rate or cooldown looks.
    pub changes: VecDeque<Change>,
    /// Last accepted increase.
    pub last_up: Option<Time>,
    /// Last accepted decrease.
    pub last_down: Option<Time>,
    /// What the target last accepted: serving, standby, and when.
    pub asked: Option<(u32, u32, Time)>,
    /// Until when a wake holds the floor.
    pub awake_until: Option<Time>,
    /// Since when the chain has proposed zero and nothing ran or waited.
    pub idle_since: Option<Time>,
    /// Pools whose new replicas a decrease waits for.
    pub waits_for: BTreeSet<String>,
    /// Start-up times.
    pub starts: crate::starts::Starts,
    /// What woke it, for people.
    pub awake_by: String,
    /// Completions per second of one replica while its queue was not empty, with the instant each was measured: without
    /// them a restart would make policies steer by something else for a while.
    pub service: Vec<(Time, f64)>,
}

/// One change that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The decision it came from.
    pub decision: String,
    /// When it was decided.
    pub at: Time,
    /// Serving replicas before.
    pub from: u32,
    /// Serving replicas after.
    pub to: u32,
    /// Standby replicas before.
    pub standby_from: u32,
    /// Standby replicas after.
    pub standby_to: u32,
    /// Whether the target has taken it. False: still on its way.
    pub accepted: bool,
    /// It is taken for accepted because nobody said what became of it.
    #[serde(default)]
    pub unanswered: bool,
}

impl SavedFacts {
    /// Instants that lie in the future count as now: the clock may have been set back while nobody looked.
    pub(crate) fn not_after(&mut self, now: Time) {
        let past = |at: &mut Time| *at = (*at).min(now);
        for memory in self.pools.values_mut() {
            memory.changes.iter_mut().for_each(|c| past(&mut c.at));
            memory.last_up.iter_mut().for_each(past);
            memory.last_down.iter_mut().for_each(past);
            memory.idle_since.iter_mut().for_each(past);
            memory.asked.iter_mut().for_each(|a| past(&mut a.2));
            memory.starts.not_after(now);
            memory.service.iter_mut().for_each(|(at, _)| past(at));
        }
        for standing in self.pause.iter_mut().chain(self.order.iter_mut()) {
            let ahead = standing.since.since(now);
            standing.since = standing.since.min(now);
            standing.until = standing.until - ahead;
        }
        for decision in &mut self.decisions {
            decision.at = decision.at.min(now);
        }
    }

    /// What was on its way when the process ended may have been taken, and nobody looked meanwhile: idleness that was
    /// not seen is none.
    pub(crate) fn settle(&mut self) {
        for memory in self.pools.values_mut() {
            memory.settle();
            memory.idle_since = None;
        }
    }
}

impl PoolMemory {
    /// Nobody will say any more what became of the changes on their way.
    pub(crate) fn settle(&mut self) {
        for index in 0..self.changes.len() {
            if !self.changes[index].accepted {
                self.may_be_taken(index);
            }
        }
    }

    /// A change of which nobody knows whether the target took it: its next report will say. It counts as used, and as an
    /// increase, as if it had been; what it asked for is not what is there.
    pub(crate) fn may_be_taken(&mut self, index: usize) {
        let change = &mut self.changes[index];
        (change.accepted, change.unanswered) = (true, true);
        let (at, new, total) = (change.at, change.added(), change.total());
        if change.to > change.from || new > 0 {
            self.last_up = self.last_up.max(Some(at));
            self.starts.ordered(at, new, total);
        }
    }
}

impl Change {
    /// Replicas that there were not before, of whatever tier.
    pub(crate) fn added(&self) -> u32 {
        self.total().saturating_sub(self.from.saturating_add(self.standby_from))
    }

    /// An increase that nobody answered, of which the target shows nothing: to ask for it again is no further step, since
    /// what is asked for is a total. A decrease always counts.
    pub(crate) fn is_asked_again(&self, present: u32) -> bool {
        self.unanswered && self.to > self.from && self.from == present
    }

    /// Replicas that there should be after it, of whatever tier.
    pub(crate) fn total(&self) -> u32 {
        self.to.saturating_add(self.standby_to)
    }
}

/// The longest a change is remembered.
pub(crate) const REMEMBER_CHANGES: Span = Span(24 * 3_600_000);
