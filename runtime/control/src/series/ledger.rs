//! What several signals of one replica say together: arrivals, and how fast it serves when it has enough to do.
//!
//! For: engines that export completions only. Arrivals are completions plus the growth of what runs and waits; the
//! service rate is the most completions per second over a stretch in which the queue was never empty (an unsaturated
//! replica's throughput says nothing about its capacity). Never looks across replicas.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Windows;
use super::track::{Keep, Track};
use crate::sample::{Labels, Origin, Reading};
use crate::time::{Span, Time};

/// A stretch must last so long to be measured, and see so many completions: over less, a few more or less decide (an
/// engine that finishes a batch at once would look faster than it is).
const SHORTEST_STRETCH: Span = Span(5_000);
const ENOUGH_COMPLETIONS: f64 = 10.0;
/// A stretch that lasted so long is measured whatever it saw.
const LONG_STRETCH: Span = Span(60_000);
/// Which measurements of a pool compete for its service rate: those so long before its newest. Without a newer one the
/// last stays, however old: a pool that is never saturated would otherwise be scaled by a guess.
const REMEMBER: Span = Span(3_600_000);
/// Most measurements kept per replica.
const MAX_MEASURED: usize = 64;
/// Most books kept; those of replicas that left longest ago go first.
const MAX_ACCOUNTS: usize = 4_096;

/// What one page of one replica says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) at: Time,
    /// Requests completed so far, resets taken out.
    pub(super) completed: f64,
    pub(super) waiting: Option<f64>,
    pub(super) running: Option<f64>,
    /// The counter began again.
    pub(super) reset: bool,
    /// The counters had stood still for too long before it.
    pub(super) stalled: bool,
}

/// One replica's books.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Account {
    /// Running total of arrivals, as a counter track.
    pub(super) arrivals: Option<Track>,
    /// Completions per second in saturated stretches, with the instant each was measured.
    pub(super) measured: VecDeque<(Time, f64)>,
    newest: Option<Time>,
    /// Completed, and waiting or running, when arrivals were last booked.
    booked: Option<(f64, f64)>,
    arrived: f64,
    /// Pages of the present saturated stretch, at most a minute and the page before: instant, completions.
    stretch: VecDeque<(Time, f64)>,
}

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    accounts: BTreeMap<Origin, Account>,
}

impl Ledger {
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&Origin, &Account)> {
        self.accounts.iter()
    }

    /// Books one page.
    pub(super) fn note(&mut self, origin: &Origin, page: Page, keep: Keep, stale_after: Span) {
        if !self.accounts.contains_key(origin) {
            self.accounts.insert(origin.clone(), Account::default());
        }
        let Some(account) = self.accounts.get_mut(origin) else { return };
        if account.newest.is_some_and(|before| before >= page.at) {
            return;
        }
        // What was in the queue between this page and the last is then not known.
        let broken = account.newest.is_some_and(|before| page.at.since(before) > stale_after);
        account.newest = Some(page.at);
        if let (Some(waiting), Some(running)) = (page.waiting, page.running) {
            account.book_arrivals(origin, &page, waiting + running, keep);
        }
        account.measure(page.at, page.completed, page.waiting.unwrap_or(0.0), page.reset || page.stalled || broken);
    }

    /// The counters of that replica had stood still since then.
    pub(super) fn forget_stall(&mut self, origin: &Origin, since: Time) {
        if let Some(arrivals) = self.accounts.get_mut(origin).and_then(|a| a.arrivals.as_mut()) {
            arrivals.forget_stall(since);
        }
    }

    /// Forgets measurements that newer ones of their pool have outlived, and the arrivals of replicas that have said
    /// nothing since `keep`.
    pub(super) fn forget(&mut self, keep: Time) {
        let mut newest: BTreeMap<Arc<str>, Time> = BTreeMap::new();
        for (origin, account) in &self.accounts {
            if let (Origin::Replica { pool, .. }, Some((at, _))) = (origin, account.measured.back()) {
                let of_pool = newest.entry(Arc::clone(pool)).or_insert(*at);
                *of_pool = (*of_pool).max(*at);
            }
        }
        self.accounts.retain(|origin, a| {
            if let Origin::Replica { pool, .. } = origin
                && let Some(newest) = newest.get(pool)
            {
                a.measured.retain(|(at, _)| newest.since(*at) <= REMEMBER);
            }
            a.arrivals.take_if(|track| track.newest_at().is_none_or(|at| at < keep));
            !a.measured.is_empty() || a.newest.is_some_and(|at| at >= keep)
        });
        while self.accounts.len() > MAX_ACCOUNTS {
            let Some(oldest) = self.accounts.iter().min_by_key(|(_, a)| a.newest).map(|(o, _)| o.clone()) else {
                break;
            };
            self.accounts.remove(&oldest);
        }
    }

    /// Pools that the configuration no longer names leave.
    pub(super) fn keep_pools(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.accounts.retain(|origin, _| match origin {
            Origin::Replica { pool, .. } => keep(pool),
            Origin::Query => true,
        });
    }

    /// What was measured in a pool and still competes, for a later process: instants ascending, rates descending.
    pub(super) fn measured(&self, pool: &str) -> Vec<(Time, f64)> {
        let of_pool =
            self.accounts.iter().filter(|(o, _)| matches!(o, Origin::Replica { pool: p, .. } if **p == *pool));
        let mut all: Vec<(Time, f64)> = of_pool.flat_map(|(_, a)| a.measured.iter().copied()).collect();
        let last = all.iter().map(|(at, _)| *at).max().unwrap_or_default();
        all.retain(|(at, _)| last.since(*at) <= REMEMBER);
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        let mut newest = None;
        all.retain(|(at, _)| {
            let later = newest.is_none_or(|n| *at > n);
            newest = newest.max(Some(*at));
            later
        });
        all.truncate(MAX_MEASURED);
        all
    }

    /// What an earlier process measured in a pool: the books of a replica that has left.
    pub(super) fn inherit(&mut self, pool: &str, measured: &[(Time, f64)]) {
        if !measured.is_empty() {
            let origin = Origin::Replica { pool: Arc::from(pool), replica: Arc::from("") };
            let measured = measured.iter().copied().take(MAX_MEASURED).collect();
            self.accounts.insert(origin, Account { measured, ..Account::default() });
        }
    }
}

impl Windows {
    /// What was measured of a pool's service rate, for a later process.
    pub(crate) fn measured(&self, pool: &str) -> Vec<(Time, f64)> {
        self.ledger.measured(pool)
    }

    /// What an earlier process measured of a pool's service rate.
    pub(crate) fn inherit(&mut self, pool: &str, measured: &[(Time, f64)]) {
        self.ledger.inherit(pool, measured);
    }
}

impl Account {
    fn book_arrivals(&mut self, origin: &Origin, page: &Page, inside: f64, keep: Keep) {
        let grown = match self.booked {
            None => page.completed + inside,
            Some((done, was)) => (page.completed - done) + (inside - was),
        };
        // A restart loses what ran: that is no negative arrival.
        self.arrived += if page.reset { grown.max(0.0) } else { grown };
        self.booked = Some((page.completed, inside));
        let track = self.arrivals.get_or_insert_with(|| Track::new(origin.clone(), Labels::new(), f64::INFINITY));
        // A level, because an aborted request takes an arrival back; its rate is what counts.
        track.push(page.at, &Reading::Gauge(self.arrived.max(0.0)), keep);
        if page.reset {
            track.mark_reset();
        }
    }

    fn measure(&mut self, at: Time, completed: f64, waiting: f64, broken: bool) {
        if broken || waiting <= 0.0 {
            self.stretch.clear();
        }
        if waiting <= 0.0 {
            return;
        }
        self.stretch.push_back((at, completed));
        // Slide: the shortest stretch that is long enough shows the most.
        let enough = |(start, done): (Time, f64)| {
            let lasted = at.since(start);
            lasted >= LONG_STRETCH || (lasted >= SHORTEST_STRETCH && completed - done >= ENOUGH_COMPLETIONS)
        };
        while self.stretch.len() > 2 && enough(self.stretch[1]) {
            self.stretch.pop_front();
        }
        let Some((start, done)) = self.stretch.front().copied() else { return };
        let lasted = at.since(start);
        if !enough((start, done)) || completed <= done {
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

    /// When its page was last booked.
    pub(super) fn newest_at(&self) -> Option<Time> {
        self.newest
    }

    /// The most measured in the hour before the newest measurement that was made by `at`.
    pub(super) fn service_rate(&self, at: Time) -> Option<f64> {
        let made = self.measured.iter().filter(|(when, _)| *when <= at);
        let newest = made.clone().next_back()?.0;
        made.filter(|(when, _)| newest.since(*when) <= REMEMBER).map(|(_, rate)| *rate).reduce(f64::max)
    }
}
