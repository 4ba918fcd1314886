//! What the configured sources owe, above all the pages for the whole workload.
//!
//! For: a page that is down must not look like a page that nobody configured, neither after a restart nor after
//! `silent_after`. A replica that falls silent leaves the count; a page stays until the manifest no longer names it.
//! Never judges values.

use std::collections::BTreeSet;

use super::track::Track;
use super::{Tracks, Windows};
use crate::sample::Origin;
use crate::signals;
use crate::time::{Span, Time};

impl Windows {
    /// The raw signals that the configured pages give.
    pub(crate) fn set_page_signals(&mut self, owed: BTreeSet<String>) {
        let before = std::mem::replace(&mut self.owed, owed);
        for signal in before.into_iter().filter(|s| !self.owed.contains(s)).collect::<Vec<_>>() {
            self.withdraw(&signal, |origin| *origin == Origin::Query);
        }
    }

    /// The raw signals that each replica is asked for.
    pub(crate) fn set_replica_signals(&mut self, asked: BTreeSet<String>) {
        let before = std::mem::replace(&mut self.asked, asked);
        for signal in before.into_iter().filter(|s| !self.asked.contains(s)).collect::<Vec<_>>() {
            self.spoken.remove(&signal);
            self.withdraw(&signal, |origin| *origin != Origin::Query);
        }
    }

    /// What a source gave that is no longer configured goes at once, and is as if it had never been seen where nobody
    /// else gives it.
    fn withdraw(&mut self, signal: &str, whose: impl Fn(&Origin) -> bool) {
        let left = self.signals.get_mut(signal).map_or(0, |tracks| {
            tracks.list.retain(|t| !whose(&t.origin));
            tracks.list.len()
        });
        if left == 0 {
            self.signals.remove(signal);
            if !self.spoken.contains(signal) && !self.owed.contains(signal) {
                self.seen.remove(signal);
            }
        }
        self.tracks = self.signals.values().map(|t| t.list.len()).sum();
        self.note_known();
    }

    /// Whether replicas are asked for what answers a need.
    pub(super) fn is_asked(&self, signal: &str) -> bool {
        signals::answerable(signal, &|raw| self.asked.contains(raw))
    }

    /// The raw signals that replicas give: beside a page that gives one too, they are still asked for it.
    pub(crate) fn spoken(&self) -> &BTreeSet<String> {
        &self.spoken
    }

    /// The raw signals that replicas gave to an earlier process.
    pub(crate) fn inherit_spoken(&mut self, spoken: BTreeSet<String>) {
        self.spoken = spoken;
    }

    /// Whether a configured page gives that raw signal.
    pub(super) fn is_owed(&self, raw: &str) -> bool {
        self.owed.contains(raw)
    }

    /// The raw signal by which a configured page answers a need: ready-made, or what it is derived from where nobody
    /// gives it ready-made.
    pub(super) fn owed_for(&self, signal: &str) -> Option<&str> {
        let derived = || match signals::canonical(signal).map(|row| row.origin) {
            Some(signals::Origin::RateOf(raw) | signals::Origin::PercentileOf(raw, _)) => {
                (!self.signals.contains_key(signal)).then_some(raw)
            }
            _ => None,
        };
        let owed = |raw: &str| self.owed.get(raw).map(String::as_str);
        owed(signal).or_else(|| owed(derived()?))
    }

    /// Whether a configured page owes that raw signal and has never given it.
    pub(super) fn lacks(&self, raw: &str) -> bool {
        self.is_owed(raw) && self.signals.get(raw).is_none_or(|tracks| tracks.of(&Origin::Query).is_empty())
    }
}

impl Windows {
    /// After it was read back: the rows of the table, which are not written down.
    pub(crate) fn find_rows(&mut self) {
        for (signal, tracks) in &mut self.signals {
            tracks.row = signals::canonical(signal);
            tracks.reach = self.reach.get(signal).copied().unwrap_or_default();
        }
    }

    /// Names of signals were taken away: which of them each signal is among.
    pub(super) fn note_known(&mut self) {
        for (signal, tracks) in &mut self.signals {
            tracks.known = (self.seen.contains(&**signal), self.spoken.contains(&**signal));
        }
    }
}

impl Tracks {
    /// When the pages last gave that signal.
    pub(super) fn page_newest(&self) -> Option<Time> {
        self.of(&Origin::Query).iter().filter_map(Track::newest_at).max()
    }
}

impl Track {
    /// Whether it fell silent with its whole page, which gave that signal last at `newest`. Labels that had left the page
    /// long before are not owed.
    pub(super) fn left_with_its_page(&self, newest: Option<Time>, reach: Span) -> bool {
        let lag = |at: Time| newest.is_none_or(|newest| newest.since(at) <= reach);
        self.origin == Origin::Query && self.newest_at().is_none_or(lag)
    }
}
