//! What several signals of one replica say together: arrivals, and how fast it serves when it has enough to do.
//!
//! For: engines that export completions only. Arrivals are completions plus the growth of what runs and waits; the
//! service rate is the most completions per second over a stretch in which the queue was never empty (an unsaturated
//! replica's throughput says nothing about its capacity). Never looks across replicas.

use std::collections::{BTreeMap, VecDeque};

use super::track::Track;
use crate::sample::{Labels, Origin, Reading};
use crate::time::{Span, Time};

/// A stretch must last so long to be measured: over less, a few completions more or less decide.
const SHORTEST_STRETCH: Span = Span(5_000);
/// For how long a measured service rate is believed.
const REMEMBER: Span = Span(3_600_000);
/// Most measurements kept per replica.
const MAX_MEASURED: usize = 64;

/// One replica's books.
#[derive(Debug)]
pub(super) struct Account {
    /// Running total of arrivals, as a counter track.
    pub(super) arrivals: Option<Track>,
    /// Completions per second in saturated stretches, with the instant each was measured.
    pub(super) measured: VecDeque<(Time, f64)>,
    newest: Option<(Time, f64, f64)>,
    arrived: f64,
    /// Pages of the present saturated stretch: instant, completions.
    stretch: VecDeque<(Time, f64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<Origin, Account>,
}

impl Ledger {
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&Origin, &Account)> {
        self.accounts.iter()
    }

    /// Books one page: completions so far, and what waits and runs.
    #[allow(clippy::too_many_arguments)] // one page's facts, each a plain number
    pub(super) fn note(
        &mut self,
        origin: &Origin,
        at: Time,
        completed: f64,
        waiting: Option<f64>,
        running: Option<f64>,
        reset: bool,
        retention: Span,
    ) {
        if !self.accounts.contains_key(origin) {
            let account = Account {
                arrivals: None,
                measured: VecDeque::new(),
                newest: None,
                arrived: 0.0,
                stretch: VecDeque::new(),
            };
            self.accounts.insert(origin.clone(), account);
        }
        let Some(account) = self.accounts.get_mut(origin) else { return };
        if account.newest.is_some_and(|(before, ..)| before >= at) {
            return;
        }
        if let (Some(waiting), Some(running)) = (waiting, running) {
            account.book_arrivals(origin, at, completed, waiting + running, reset, retention);
        }
        account.measure(at, completed, waiting.unwrap_or(0.0), reset);
    }

    /// Forgets replicas that have said nothing for as long as a measurement is believed.
    pub(super) fn forget(&mut self, now: Time) {
        self.accounts.retain(|_, a| {
            while a.measured.front().is_some_and(|(at, _)| now.since(*at) > REMEMBER) {
                a.measured.pop_front();
            }
            !a.measured.is_empty() || a.newest.is_some_and(|(at, ..)| now.since(at) <= REMEMBER)
        });
    }
}

impl Account {
    fn book_arrivals(&mut self, origin: &Origin, at: Time, completed: f64, inside: f64, reset: bool, retention: Span) {
        let grown = match self.newest {
            None => completed + inside,
            Some((_, done, was)) => (completed - done) + (inside - was),
        };
        // A restart loses what ran: that is no negative arrival.
        self.arrived += if reset { grown.max(0.0) } else { grown };
        self.newest = Some((at, completed, inside));
        let track = self.arrivals.get_or_insert_with(|| Track::new(origin.clone(), Labels::new(), f64::INFINITY));
        // A level, because an aborted request takes an arrival back; its rate is what counts.
        track.push(at, &Reading::Gauge(self.arrived.max(0.0)), retention);
    }

    fn measure(&mut self, at: Time, completed: f64, waiting: f64, reset: bool) {
        if reset || waiting <= 0.0 {
            self.stretch.clear();
        }
        if waiting <= 0.0 {
            return;
        }
        self.stretch.push_back((at, completed));
        // Slide: the shortest stretch that is long enough shows the most.
        while self.stretch.len() > 2 && at.since(self.stretch[1].0) >= SHORTEST_STRETCH {
            self.stretch.pop_front();
        }
        let Some((start, done)) = self.stretch.front().copied() else { return };
        let lasted = at.since(start);
        if lasted < SHORTEST_STRETCH || completed <= done {
            return;
        }
        let rate = (completed - done) / lasted.as_seconds();
        // Older and smaller measurements can never be the greatest again.
        while self.measured.back().is_some_and(|(_, r)| *r <= rate) {
            self.measured.pop_back();
        }
        self.measured.push_back((at, rate));
        if self.measured.len() > MAX_MEASURED {
            self.measured.pop_back();
        }
    }

    /// The most measured and still believed at `at`.
    pub(super) fn service_rate(&self, at: Time) -> Option<f64> {
        self.measured
            .iter()
            .filter(|(when, _)| *when <= at && at.since(*when) <= REMEMBER)
            .map(|(_, rate)| *rate)
            .reduce(f64::max)
    }
}
