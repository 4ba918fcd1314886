//! A scenario's journal: everything its controllers were given, in segments, and what its policies answered.
//!
//! For: computing every scenario again, from the beginning and from each segment alone. Never part of a story.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use trimtab_control::Controller;
use trimtab_control::journal::is_of_the_machine;
use trimtab_control::journal::replay::{Replay, Tick};
use trimtab_control::policy::{Call, Observation, Policy};

/// Ticks of one segment.
const TICKS: usize = 11;

/// One segment.
struct Segment {
    snapshot: Vec<u8>,
    /// Nothing is missing since the one before.
    goes_on: bool,
    taped: Vec<Vec<u8>>,
    /// Calls that policies had answered before it.
    calls: usize,
}

/// Every call of a scenario's policies, in their order: they answer as the scenario says, not by their inputs.
type Calls = Arc<Mutex<Vec<Call>>>;

/// See the module.
#[derive(Default)]
pub(crate) struct Tapes {
    segments: Vec<Segment>,
    calls: Calls,
    ticks: usize,
}

/// A policy whose calls are kept.
struct Heard(Arc<dyn Policy>, Calls);

impl Policy for Heard {
    fn decide(&self, config: &str, observation: &Observation, state: &[u8]) -> Call {
        let call = self.0.decide(config, observation, state);
        // Replay answers these as they were, and does not call.
        if !call.answer.as_ref().is_err_and(is_of_the_machine) {
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        }
        call
    }
}

/// A policy that answers what was heard.
struct Said(Mutex<VecDeque<Call>>);

impl Policy for Said {
    fn decide(&self, _config: &str, _observation: &Observation, _state: &[u8]) -> Call {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.pop_front().unwrap_or_else(|| panic!("a call that there was not"))
    }
}

impl Tapes {
    pub(super) fn hear(&self, policy: Arc<dyn Policy>) -> Arc<dyn Policy> {
        Arc::new(Heard(policy, Arc::clone(&self.calls)))
    }

    /// A segment begins.
    pub(super) fn begin(&mut self, controller: &mut Controller, goes_on: bool) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.segments.push(Segment { snapshot: controller.begin_tape(), goes_on, taped: Vec::new(), calls });
        self.ticks = 0;
    }

    /// After every step.
    pub(super) fn take(&mut self, controller: &mut Controller, ticked: bool) {
        let Some(taped) = controller.take_tape() else { return };
        assert!(!taped.full, "a scenario is no lot");
        self.segments.iter_mut().next_back().into_iter().for_each(|segment| segment.taped.push(taped.bytes.clone()));
        self.ticks += usize::from(ticked);
        if self.ticks >= TICKS {
            self.begin(controller, true);
        }
    }

    /// Everything again, from the segment `first` on. Panics where it is not the same; returns the number of decisions.
    #[allow(dead_code)] // the example does not
    pub(crate) fn replay(&self, first: usize) -> usize {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let from = self.segments[first].calls;
        let said: Arc<dyn Policy> = Arc::new(Said(Mutex::new(calls[from..].iter().cloned().collect())));
        let find = |_: &str| Some(Arc::clone(&said));
        let mut replay = Replay::new(&find, None);
        let mut ticks = 0;
        for (number, segment) in self.segments.iter().enumerate().skip(first) {
            let same = replay.begin(&segment.snapshot, segment.goes_on);
            assert!(same.as_ref().is_ok_and(|same| *same), "the state of segment {number}: {same:?}");
            for taped in &segment.taped {
                let mut tell = |tick: &Tick<'_>| {
                    assert_eq!(tick.differs, None, "{:#?}", tick.decision);
                    ticks += 1;
                };
                replay.take(taped, &mut tell).unwrap_or_else(|wrong| panic!("segment {number}: {wrong}"));
            }
        }
        ticks
    }

    #[allow(dead_code)] // the example does not
    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }
}
