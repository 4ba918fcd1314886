//! The whole state of a controller, written down and read back, and the tape that follows it.
//!
//! For: journals. What is read back goes on to the same bytes: windows, reports, memories, breakers and facts are all
//! there, the modules by their digests. Never holds what is between `propose` and `decide`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Controller;
use super::asked::Asked;
use super::fleet::Fleet;
use crate::config::{Module, WorkloadConfig};
use crate::journal::wire::{Malformed, Reader, Writer};
use crate::journal::{Fallen, Made, Tape, Taped};
use crate::pipeline::Chain;
use crate::policy::Policy;
use crate::saved::SavedFacts;
use crate::series::Windows;
use crate::time::{Span, Time};

/// In the order of [`Whole`].
#[derive(Serialize)]
struct Parts<'a> {
    config: &'a WorkloadConfig,
    source_period: Span,
    utc_offset_minutes: i32,
    windows: &'a Windows,
    fleet: &'a Fleet,
    chain: &'a Chain,
    facts: &'a SavedFacts,
}

#[derive(Deserialize)]
struct Whole {
    config: WorkloadConfig,
    source_period: Span,
    utc_offset_minutes: i32,
    windows: Windows,
    fleet: Fleet,
    chain: Chain,
    facts: SavedFacts,
}

impl Controller {
    /// Begins a segment: the whole state now. From here on everything that the controller is given goes on its tape,
    /// until [`Controller::end_tape`].
    pub fn begin_tape(&mut self) -> Vec<u8> {
        // Who would propose and then begin a tape gets a second proposal, on the tape.
        self.draft = None;
        self.tape = Some(Box::default());
        self.snapshot()
    }

    /// Nothing goes on a tape any more.
    pub fn end_tape(&mut self) {
        self.tape = None;
    }

    /// What went on the tape since the last call; none: there is no tape.
    pub fn take_tape(&mut self) -> Option<Taped> {
        self.tape.as_mut().map(|tape| tape.take())
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.structure(&Parts {
            config: &self.config,
            source_period: self.source_period,
            utc_offset_minutes: self.utc_offset_minutes,
            windows: &self.windows,
            fleet: &self.fleet,
            chain: &self.chain,
            facts: &self.facts,
        });
        out.into_bytes()
    }

    /// From a snapshot; `find` gives a module's policy by its digest. One that is not found gives no answers.
    pub(crate) fn restored(
        snapshot: &[u8],
        find: &dyn Fn(&str) -> Option<Arc<dyn Policy>>,
    ) -> Result<Controller, Malformed> {
        let mut input = Reader::new(snapshot);
        let Whole { config, source_period, utc_offset_minutes, mut windows, fleet, mut chain, facts } =
            input.structure()?;
        input.end()?;
        windows.find_rows();
        for module in chain.modules_mut() {
            if let Some(policy) = find(&module.digest) {
                module.policy = policy;
            }
        }
        let asked = Arc::new(Asked::of(&chain, &config));
        Ok(Controller {
            asked,
            config,
            source_period,
            utc_offset_minutes,
            windows,
            fleet,
            chain,
            facts,
            draft: None,
            tripped: Vec::new(),
            tape: Some(Box::new(Tape::watching())),
            fallen: Vec::new(),
        })
    }

    /// Every module behind a stage, with the name of its policy.
    pub fn modules(&self) -> impl Iterator<Item = (String, Module)> {
        self.chain
            .loaded()
            .chain(self.chain.shadows())
            .map(|(_, loaded)| (loaded.policy.clone(), loaded.module.clone()))
    }

    /// Proposes with calls that are known to have failed: they are answered as they were.
    pub(crate) fn propose_again(&mut self, now: Time, fallen: Vec<Fallen>) {
        self.fallen = fallen;
        self.propose(now);
        self.fallen.clear();
        // Nobody carries out what is told here, and what nobody fetches would add up.
        self.tripped.clear();
    }

    /// The hashes of the newest decision.
    pub(crate) fn take_made(&mut self) -> Option<Made> {
        self.tape.as_mut().and_then(|tape| tape.take_made())
    }
}
