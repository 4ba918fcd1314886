//! The state that a module asked to be kept, and that of the version before.
//!
//! For: policies that learn. The state before a swap stays until the new module is confirmed by enough good decisions, so
//! that a roll-back finds what it left. Never interprets the bytes.

use crate::saved::{SavedState, Slot};

/// So many good decisions confirm a module.
pub(crate) const CONFIRMED: u32 = 20;

/// One kept state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    version: u32,
    digest: String,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    current: State,
    good: u32,
    previous: Option<State>,
}

impl Memory {
    /// What a module of that version is given, and the stored version where it is another.
    pub(crate) fn for_version(&self, version: u32) -> (&[u8], Option<u32>) {
        if self.current.bytes.is_empty() || self.current.version == version {
            (&self.current.bytes, None)
        } else {
            (&[], Some(self.current.version))
        }
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
    }

    /// A good answer of a module of that version. A state of another version is gone once the module has answered.
    pub(crate) fn commit(&mut self, version: u32, state: Option<Vec<u8>>) {
        match state {
            Some(bytes) => self.current.bytes = bytes,
            None if self.current.version != version => self.current.bytes.clear(),
            None => {}
        }
        self.current.version = version;
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

    pub(super) fn restore(&mut self, saved: SavedState) {
        let state = State { version: saved.version, digest: saved.digest, bytes: saved.bytes };
        if saved.previous {
            self.previous = Some(state);
        } else {
            (self.current, self.good) = (state, saved.good.min(CONFIRMED));
        }
    }
}
