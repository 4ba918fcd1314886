//! The state that a module asked to be kept, and that of the version before.
//!
//! For: policies that learn. The state before a swap stays until the new module is confirmed by enough good decisions, so
//! that a roll-back finds what it left. What another policy wrote, or what a policy itself refused, is not passed. Never
//! interprets the bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::saved::{SavedState, Slot, writer_key};

/// So many good decisions confirm a module.
pub(crate) const CONFIRMED: u32 = 20;

/// One kept state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The policy that wrote it; empty: not known, since an earlier daemon kept it.
    policy: String,
    version: u32,
    digest: String,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    current: State,
    good: u32,
    previous: Option<State>,
    /// The module behind the stage called its state bad, and has not answered since.
    refused: bool,
}

impl Memory {
    /// What a module of that policy and version is given; where that is not what is stored: why.
    pub(crate) fn for_module(&self, policy: &str, version: u32) -> (&[u8], Option<String>) {
        let State { policy: writer, version: written, bytes, .. } = &self.current;
        let why = if bytes.is_empty() {
            None
        } else if !writer.is_empty() && writer != policy {
            Some(format!("state of policy {writer} is not passed to {policy}: it starts empty"))
        } else if *written != version {
            Some(format!("state of version {written} is not passed to version {version}: it starts empty"))
        } else if self.refused {
            Some("it called its state bad: it starts empty".to_owned())
        } else {
            None
        };
        (if why.is_some() { &[] } else { bytes }, why)
    }

    /// Enough good decisions of the module behind the stage.
    pub(super) fn is_confirmed(&self) -> bool {
        self.good >= CONFIRMED
    }

    /// The module called its state bad: until it has answered, it is given none.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Another module takes over, from what there is.
    pub(super) fn swap(&mut self, digest: &str) {
        if self.current.digest == digest {
            return;
        }
        let confirmed = self.good >= CONFIRMED || self.previous.is_none();
        if confirmed && !self.current.digest.is_empty() {
            self.previous = Some(self.current.clone());
        }
        digest.clone_into(&mut self.current.digest);
        self.good = 0;
        self.refused = false;
    }

    /// A good answer of a module of that policy and version. A state that was not passed is gone once it has answered.
    pub(crate) fn commit(&mut self, policy: &str, version: u32, state: Option<Vec<u8>>) {
        match state {
            Some(bytes) => self.current.bytes = bytes,
            None if self.for_module(policy, version).1.is_some() => self.current.bytes.clear(),
            None => {}
        }
        policy.clone_into(&mut self.current.policy);
        self.current.version = version;
        self.refused = false;
        self.good = (self.good + 1).min(CONFIRMED);
        if self.good == CONFIRMED {
            self.previous = None;
        }
    }

    /// Back to the state the version before had left. False where it was confirmed, or there was none.
    pub(crate) fn restore_previous(&mut self) -> bool {
        let Some(previous) = self.previous.take() else { return false };
        self.current = previous;
        self.good = CONFIRMED;
        self.refused = false;
        true
    }

    pub(super) fn save(&self, stage: &str, slot: Slot) -> impl Iterator<Item = SavedState> {
        let saved = |state: &State, good: u32, previous: bool| SavedState {
            stage: stage.to_owned(),
            slot,
            version: state.version,
            digest: state.digest.clone(),
            bytes: state.bytes.clone(),
            good,
            previous,
        };
        let current = (!self.current.digest.is_empty()).then(|| saved(&self.current, self.good, false));
        let previous = self.previous.as_ref().map(|p| saved(p, 0, true));
        current.into_iter().chain(previous)
    }

    /// Who wrote each of the states that are saved.
    pub(super) fn writers(&self, stage: &str, slot: Slot) -> impl Iterator<Item = (String, String)> {
        let states = [(Some(&self.current), false), (self.previous.as_ref(), true)];
        let known = states.into_iter().filter_map(|(state, previous)| Some((state?, previous)));
        known
            .filter(|(state, _)| !state.policy.is_empty())
            .map(move |(state, previous)| (writer_key(stage, slot, previous), state.policy.clone()))
    }

    pub(super) fn restore(&mut self, saved: SavedState, writers: &BTreeMap<String, String>) {
        let policy = writers.get(&writer_key(&saved.stage, saved.slot, saved.previous)).cloned().unwrap_or_default();
        let state = State { policy, version: saved.version, digest: saved.digest, bytes: saved.bytes };
        if saved.previous {
            self.previous = Some(state);
        } else {
            (self.current, self.good) = (state, saved.good.min(CONFIRMED));
        }
    }
}
