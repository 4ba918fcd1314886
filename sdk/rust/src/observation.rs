//! Finding things in an observation.
//!
//! For: pools, facts, series and the proposal so far, by name. Never fills in what is missing.

use crate::{Observation, Pool, Series};

impl Observation {
    /// The series of that signal for the whole workload, or for its only pool.
    #[must_use]
    pub fn series(&self, signal: &str) -> Option<&Series> {
        let mut found = self.series.iter().filter(|s| s.signal == signal);
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            (Some(_), Some(_)) => self.unpooled(signal),
            _ => None,
        }
    }

    /// The series of that signal that belongs to that pool.
    #[must_use]
    pub fn series_of(&self, signal: &str, pool: &str) -> Option<&Series> {
        self.series.iter().find(|s| s.signal == signal && s.label("pool") == Some(pool))
    }

    /// The series of that signal that belongs to no pool: a source that speaks for the whole workload.
    #[must_use]
    pub fn unpooled(&self, signal: &str) -> Option<&Series> {
        self.series.iter().find(|s| s.signal == signal && s.label("pool").is_none_or(str::is_empty))
    }

    /// The present value of that signal for the whole workload; none: missing.
    #[must_use]
    pub fn value(&self, signal: &str) -> Option<f64> {
        self.series(signal)?.present()
    }

    /// What the stages before this one propose for that pool and tier; 0 where nothing is said.
    #[must_use]
    pub fn proposed(&self, pool: &str, tier: &str) -> u32 {
        self.proposed.iter().find(|t| t.pool == pool && t.tier == tier).map_or(0, |t| t.replicas)
    }

    /// A number the host tells about the workload, such as `utc-offset-minutes`.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<f64> {
        fact(&self.facts, name)
    }
}

impl Pool {
    /// Serving replicas that take requests now or will soon.
    #[must_use]
    pub fn coming(&self) -> u32 {
        self.ready.saturating_add(self.starting)
    }

    /// A number the host tells about the pool, such as `startup-p90-ms`.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<f64> {
        fact(&self.facts, name)
    }
}

fn fact(facts: &[(String, f64)], name: &str) -> Option<f64> {
    facts.iter().find(|(n, _)| n == name).map(|(_, v)| *v).filter(|v| v.is_finite())
}
