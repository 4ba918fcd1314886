//! What the rules ask of the windows: who is silent, what wakes, whether a pool is idle.
//!
//! For: wake rules, the grant for zero and the order of removal. Never takes missing for zero.

use std::sync::Arc;

use super::track::Track;
use super::{Limits, Windows};
use crate::decision::InputKind;
use crate::policy::MetricNeed;
use crate::sample::Origin;
use crate::time::{Span, Time};

impl Windows {
    /// Replicas that have given no good sample for `silent_after`, per pool. None while no replica ever answered.
    pub(crate) fn silent(&self, pool: &str, limits: Limits, now: Time) -> Vec<Arc<str>> {
        self.members.silent(pool, limits, now)
    }

    /// Silent replicas of all pools.
    pub(crate) fn silent_everywhere(&self, limits: Limits, now: Time) -> Vec<Arc<str>> {
        self.members.pools().flat_map(|pool| self.members.silent(pool, limits, now)).collect()
    }

    /// The newest value over the whole workload, where it is fresh: for wake rules.
    pub(crate) fn fresh_value(&self, signal: &str, limits: Limits, now: Time) -> Option<f64> {
        let need = MetricNeed {
            signal: signal.to_owned(),
            by: Vec::new(),
            within: String::new(),
            across: String::new(),
            step: Span(0),
            window: Span(0),
            required: false,
        };
        let answered = self.answer(&[need], &[vec![0]], 0.0, limits, now).pop()?.pop()?;
        matches!(answered.input.kind, InputKind::Fresh | InputKind::Reset | InputKind::Partial)
            .then_some(answered.input.value)
            .flatten()
    }

    /// True when nothing runs or queues in a pool, known from every replica that serves there and is not silent, and from
    /// every page that speaks for the whole workload. Missing is not idle.
    pub(crate) fn idle(&self, pool: &str, limits: Limits, now: Time) -> bool {
        ["queue-depth", "active-sequences"].iter().all(|signal| {
            let Some(tracks) = self.signals.get(*signal) else { return false };
            if self.lacks(signal) {
                return false;
            }
            let zero = |t: &Track| {
                t.newest_at().is_some_and(|at| now.since(at) <= limits.stale_after) && t.newest_value() == Some(0.0)
            };
            // Sets of labels that are no longer on the page say nothing, unless none is.
            let all_zero = |tracks: &[Track]| {
                let newest = tracks.iter().filter_map(Track::newest_at).max();
                let gone =
                    |t: &Track| newest.is_some_and(|n| t.newest_at().is_none_or(|at| n.since(at) > limits.stale_after));
                tracks.iter().filter(|t| !gone(t)).all(zero)
            };
            let pages = tracks.of(&Origin::Query);
            let mut spoke = !pages.is_empty();
            for replica in self.members.answering(pool, limits, now) {
                let own = tracks.of(&Origin::Replica { pool: Arc::from(pool), replica: Arc::clone(replica) });
                if (own.is_empty() && pages.is_empty()) || !all_zero(own) {
                    return false;
                }
                spoke = true;
            }
            spoke && all_zero(pages)
        })
    }
}
