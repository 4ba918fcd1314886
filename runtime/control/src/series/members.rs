//! Who should answer: the serving replicas of each pool, and when each was last heard of.
//!
//! For: coverage, silence and frozen pages. A replica that starts, drains or stands by owes nothing. Never holds values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::sample::{Origin, PoolReport, ReplicaState};
use crate::time::{Span, Time};

/// One replica that serves or served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Since when it serves, as far as this process knows.
    pub(super) from: Time,
    /// When it stopped serving.
    pub(super) until: Option<Time>,
    /// Newest good sample.
    heard: Option<Time>,
    /// When any of its counters last moved, or when it was last idle.
    lively: Option<Time>,
    /// Whether it has counters at all.
    counts: bool,
    /// What it ran and queued on its newest page.
    work: f64,
    moved: bool,
}

/// What the good readings of one page say of their replica.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Of the newest; none: there was no good one.
    pub(super) at: Option<Time>,
    /// A running total was among them.
    pub(super) counts: bool,
    /// Something moved that only moves when the engine works.
    pub(super) lives: bool,
}

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Members {
    pools: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Member>>,
    /// Whether any replica ever answered: without sources per replica, nobody is silent.
    anyone: bool,
}

impl Members {
    /// Takes a report in: who is not named, or does not serve, owes no more answers.
    pub(super) fn meet(&mut self, report: &PoolReport, now: Time) {
        let pool = self.pools.entry(Arc::clone(&report.pool)).or_default();
        let ready = report.replicas.iter().filter(|r| r.state == ReplicaState::Ready);
        let ready: BTreeSet<&str> = ready.map(|r| &*r.id).collect();
        for (id, member) in pool.iter_mut() {
            match (ready.contains(&**id), member.until) {
                (false, None) => member.until = Some(now),
                (true, Some(_)) => {
                    // It came back, after a crash or out of standby: its silence starts anew.
                    (member.from, member.until) = (now, None);
                    (member.heard, member.lively) = (None, None);
                }
                _ => {}
            }
        }
        for replica in report.replicas.iter().filter(|r| r.state == ReplicaState::Ready) {
            pool.entry(Arc::clone(&replica.id)).or_insert_with(|| Member {
                from: now,
                until: None,
                heard: None,
                lively: None,
                counts: false,
                work: 0.0,
                moved: false,
            });
        }
    }

    pub(super) fn keep_pools(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.pools.retain(|name, _| keep(name));
    }

    /// Forgets who left before `keep`.
    pub(super) fn forget(&mut self, keep: Time) {
        for pool in self.pools.values_mut() {
            pool.retain(|_, member| member.until.is_none_or(|until| until >= keep));
        }
    }

    /// Good readings of that replica arrived.
    pub(super) fn heard(&mut self, pool: &str, replica: &str, page: &Heard) {
        if page.at.is_none() {
            return;
        }
        self.anyone = true;
        if let Some(member) = self.pools.get_mut(pool).and_then(|p| p.get_mut(replica)) {
            member.heard = member.heard.max(page.at);
            member.counts |= page.counts;
            member.moved |= page.lives;
        }
    }

    /// Its whole page was taken in, and says so much work runs or waits there. Where its counters move again after they
    /// had stood still for too long: since when they had.
    pub(super) fn works(&mut self, pool: &str, replica: &str, work: f64, limits: Limits, now: Time) -> Option<Time> {
        let member = self.pools.get_mut(pool)?.get_mut(replica)?;
        let moved = std::mem::take(&mut member.moved);
        let stalled = if moved && member.is_frozen(limits, now) { member.lively } else { None };
        member.work = work;
        if moved || work <= 0.0 || member.lively.is_none() {
            member.lively = Some(now);
        }
        stalled
    }

    pub(super) fn get(&self, pool: &str, replica: &str) -> Option<&Member> {
        self.pools.get(pool)?.get(replica)
    }

    /// Whether the origin is a replica that serves now. A page for the whole workload always does.
    pub(super) fn serves(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Query => true,
            Origin::Replica { pool, replica } => self.get(pool, replica).is_some_and(|m| m.until.is_none()),
        }
    }

    /// The replicas that serve in a pool and are not silent.
    pub(super) fn answering(&self, pool: &str, limits: Limits, now: Time) -> impl Iterator<Item = &Arc<str>> {
        let owes = move |m: &Member| m.until.is_none() && !m.is_silent(limits, now);
        self.pools.get(pool).into_iter().flatten().filter(move |(_, m)| owes(m)).map(|(id, _)| id)
    }

    /// Whether any replica that serves has given something good of late.
    pub(super) fn someone_speaks(&self, limits: Limits, now: Time) -> bool {
        let speaks = |m: &Member| m.until.is_none() && m.heard.is_some_and(|at| now.since(at) <= limits.stale_after);
        self.all().any(|(.., m)| speaks(m))
    }

    /// Names of the pools.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Arc<str>> {
        self.pools.keys()
    }

    /// Every replica that serves or served, by pool.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &Member)> {
        self.pools.iter().flat_map(|(pool, members)| members.iter().map(move |(id, member)| (pool, id, member)))
    }

    /// See [`super::Windows::silent`].
    pub(super) fn silent(&self, pool: &str, limits: Limits, now: Time) -> Vec<Arc<str>> {
        if !self.anyone {
            return Vec::new();
        }
        let Some(members) = self.pools.get(pool) else { return Vec::new() };
        members
            .iter()
            .filter(|(_, m)| m.until.is_none() && m.is_silent(limits, now))
            .map(|(id, _)| Arc::clone(id))
            .collect()
    }
}

impl Member {
    /// It says that it works, and none of its counters has moved for `stale_after`: a frozen page.
    pub(super) fn is_frozen(&self, limits: Limits, now: Time) -> bool {
        self.frozen_since().is_some_and(|since| now.since(since) > limits.stale_after)
    }

    /// For how long its counters have stood still.
    pub(super) fn still_for(&self, now: Time) -> Span {
        self.lively.map_or(Span(0), |at| now.since(at))
    }

    fn frozen_since(&self) -> Option<Time> {
        if self.counts && self.work > 0.0 { self.lively } else { None }
    }

    /// No good sample, or a frozen page, for `silent_after`.
    pub(super) fn is_silent(&self, limits: Limits, now: Time) -> bool {
        let heard = self.heard.map_or(self.from, |at| at.max(self.from));
        let good = self.frozen_since().map_or(heard, |since| since.min(heard));
        now.since(good) > limits.silent_after
    }
}
