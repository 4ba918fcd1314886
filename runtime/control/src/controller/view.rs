//! What policies see of the workload, but for their series.
//!
//! For: pools with counts, expectations and facts. Never hides a number from one policy that another may see.

use super::Controller;
use crate::config::PoolConfig;
use crate::pipeline;
use crate::policy::{MetricNeed, Observation, Pool, Target};
use crate::sample::ReplicaState;
use crate::time::{Span, Time};

/// The newest value of a signal over the whole workload, with its defaults.
pub(super) fn newest(signal: &str) -> MetricNeed {
    MetricNeed {
        signal: signal.to_owned(),
        by: Vec::new(),
        within: String::new(),
        across: String::new(),
        step: Span(0),
        window: Span(0),
        required: false,
    }
}

impl Controller {
    /// The observation without series, before the first stage.
    pub(super) fn scene(&self, now: Time) -> Observation {
        Observation {
            now,
            interval: self.config.interval,
            workload: self.config.id.name.clone(),
            pools: self.config.pools.iter().map(|p| self.pool(p, now)).collect(),
            series: Vec::new(),
            proposed: Vec::new(),
            facts: vec![("utc-offset-minutes".to_owned(), f64::from(self.utc_offset_minutes))],
            attributes: self.config.attributes.clone(),
        }
    }

    /// What is desired now, per pool and tier.
    pub(super) fn desired_targets(&self) -> Vec<Target> {
        let pools = self.config.pools.iter();
        pools
            .flat_map(|p| {
                let present = self.present(&p.name);
                pipeline::targets(&p.name, [present.serving, present.standby, 0])
            })
            .collect()
    }

    fn pool(&self, config: &PoolConfig, now: Time) -> Pool {
        let count = |state| self.fleet.count(&config.name, state);
        let expected =
            self.facts.pools.get(&config.name).map(|m| m.starts.expected(config.startup, now)).unwrap_or_default();
        Pool {
            name: config.name.clone(),
            min: config.min,
            max: config.max,
            desired: self.present(&config.name).serving,
            ready: count(ReplicaState::Ready),
            starting: expected.starting,
            draining: count(ReplicaState::Draining),
            standby: count(ReplicaState::Standby),
            headroom: 0,
            ready_at: expected.ready_at,
            obtainable: None,
            facts: self.facts_of(config, expected.stuck, now),
            attributes: config.attributes.clone(),
        }
    }

    fn facts_of(&self, config: &PoolConfig, stuck: u32, now: Time) -> Vec<(String, f64)> {
        let mut facts: Vec<(String, f64)> = Vec::with_capacity(10);
        let mut fact = |name: &str, value: f64| facts.push((name.to_owned(), value));
        if let Some(memory) = self.facts.pools.get(&config.name) {
            let (p50, p90) = memory.starts.quantiles(config.startup, now);
            fact("startup-p50-ms", p50.0 as f64);
            fact("startup-p90-ms", p90.0 as f64);
            fact("startup-samples", memory.starts.finished.len() as f64);
            memory.starts.wake_p90().into_iter().for_each(|wake| fact("wake-p90-ms", wake.0 as f64));
            memory.last_up.into_iter().for_each(|at| fact("last-up-ms", at.0 as f64));
            memory.last_down.into_iter().for_each(|at| fact("last-down-ms", at.0 as f64));
        }
        fact("failed", f64::from(self.fleet.count(&config.name, ReplicaState::Failed)));
        fact("stuck", f64::from(stuck));
        fact("gpus-per-replica", f64::from(config.gpus_per_replica));
        config.price_per_hour.into_iter().for_each(|price| fact("price-per-hour", price));
        facts
    }
}
