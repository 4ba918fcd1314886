//! As many replicas as carry the arrivals and drain the backlog in time.
//!
//! For: workloads that promise how long a request may wait. Sizes each pool by arrivals and queue over the measured
//! rate of a replica; where an engine has no request counter, by running and waiting requests over a target. Never
//! looks ahead.

use serde::Deserialize;
use trimtab_sdk::{Decision, Need, Observation, Policy, Pool, Refusal, Span, load, replicas};

/// Arrivals are averaged over so long; the newest quarter counts alone when it is busier.
const ARRIVALS_MS: u64 = 60_000;
/// A pool shrinks only if it would still be right with so many more arrivals: a rate measured twice is never the same.
const MARGIN: f64 = 1.1;

/// See `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    drain_within: Span,
    per_replica_rate: Option<f64>,
    target: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config { drain_within: Span::seconds(30), per_replica_rate: None, target: 8.0 }
    }
}

/// The policy.
pub struct QueueDepth;

impl Policy for QueueDepth {
    type Config = Config;
    type State = ();
    const NAME: &'static str = "queue-depth";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "As many replicas as carry the arrivals and drain the queue within a given time.";
    const SCHEMA: &'static str = include_str!("../schema.json");

    fn prepare(config: &Config) -> Result<Vec<Need>, Refusal> {
        if config.drain_within < Span::seconds(1) {
            return Err(Refusal::bad_config("/drainWithin", "must be at least 1s"));
        }
        if config.per_replica_rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err(Refusal::bad_config("/perReplicaRate", "must be greater than 0"));
        }
        if !(config.target > 0.0 && config.target.is_finite()) {
            return Err(Refusal::bad_config("/target", "must be greater than 0"));
        }
        let mut needs = vec![
            Need::required("queue-depth"),
            Need::required("active-sequences"),
            Need::optional("request-rate").history(ARRIVALS_MS, 0),
        ];
        if config.per_replica_rate.is_none() {
            needs.push(Need::optional("service-rate"));
        }
        Ok(needs)
    }

    fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Decision, Refusal> {
        let mut decision = Decision::default();
        let mut reasons = Vec::new();
        let mut blind = None;
        for pool in &seen.pools {
            let Some(measured) = Measured::of(config, seen, pool) else {
                if pool.ready > 0 {
                    blind = load::missing(seen, pool);
                }
                reasons.push(format!("{}: nothing to measure yet, {} kept", pool.name, pool.desired));
                continue;
            };
            let wanted = measured.replicas(config, pool.coming());
            reasons.push(format!("{}: {} want {wanted}", pool.name, measured.told(config)));
            decision.note(format!("{}.waiting", pool.name), measured.waiting);
            if let Some((arrivals, rate)) = measured.rates {
                decision.note(format!("{}.arrivals", pool.name), format_args!("{arrivals:.3}/s"));
                decision.note(format!("{}.replicaRate", pool.name), format_args!("{rate:.3}/s"));
            }
            decision = decision.serving(&pool.name, wanted.max(pool.min));
        }
        match blind {
            Some(signal) if decision.targets.is_empty() => Err(Refusal::missing_metric(signal)),
            _ => Ok(Decision { reason: reasons.join("; "), ..decision }),
        }
    }
}

/// One pool's present.
struct Measured {
    running: f64,
    waiting: f64,
    /// Arrivals a second, and what one replica completes a second. None: the engine does not count requests, or no
    /// replica was ever seen at its limit.
    rates: Option<(f64, f64)>,
}

impl Measured {
    fn of(config: &Config, seen: &Observation, pool: &Pool) -> Option<Measured> {
        let present = |signal| load::part(seen, pool, signal).and_then(|s| s.present()).map(|v| v.max(0.0));
        let arrivals = load::part(seen, pool, "request-rate").and_then(|series| {
            let busiest = [series.mean(ARRIVALS_MS / 4), series.mean(ARRIVALS_MS)];
            busiest.into_iter().flatten().reduce(f64::max).map(|rate| rate.max(0.0))
        });
        let measured = || load::property(seen, pool, "service-rate").and_then(trimtab_sdk::Series::newest);
        let rate = config.per_replica_rate.or_else(measured).filter(|rate| *rate > 0.0);
        Some(Measured { running: present("active-sequences")?, waiting: present("queue-depth")?, rates: arrivals.zip(rate) })
    }

    fn replicas(&self, config: &Config, now: u32) -> u32 {
        let Some((arrivals, rate)) = self.rates else {
            return replicas((self.running + self.waiting) / config.target);
        };
        // A replica works on whole requests: more replicas than requests wait drain nothing sooner.
        let backlog = (self.waiting / (rate * config.drain_within.as_seconds())).min(self.waiting);
        let wanted = replicas(arrivals / rate + backlog);
        // Something runs: that takes a replica even when nothing more arrives.
        let wanted = wanted.max(u32::from(self.running + self.waiting > 0.0));
        if wanted >= now { wanted } else { replicas(arrivals * MARGIN / rate + backlog).clamp(wanted, now) }
    }

    fn told(&self, config: &Config) -> String {
        match self.rates {
            Some((arrivals, rate)) => format!(
                "{arrivals:.2} arrivals/s and {:.0} waiting, to drain within {}, at {rate:.2}/s a replica",
                self.waiting, config.drain_within
            ),
            None => format!(
                "{:.0} running and {:.0} waiting at {} a replica (no measured rate)",
                self.running, self.waiting, config.target
            ),
        }
    }
}

trimtab_sdk::export!(QueueDepth);

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(running: f64, waiting: f64, rates: Option<(f64, f64)>, now: u32) -> u32 {
        Measured { running, waiting, rates }.replicas(&Config::default(), now)
    }

    #[test]
    fn carries_the_arrivals_and_drains_the_backlog() {
        assert_eq!(wanted(8.0, 0.0, Some((4.0, 2.0)), 2), 2);
        assert_eq!(wanted(8.0, 120.0, Some((4.0, 2.0)), 2), 4, "60 requests are 2 a second over 30 s: one replica more each");
        assert_eq!(wanted(1.0, 2.0, Some((0.0, 0.001)), 1), 2, "never more than requests wait");
        assert_eq!(wanted(1.0, 0.0, Some((0.0, 2.0)), 1), 1, "what runs keeps its replica");
        assert_eq!(wanted(0.0, 0.0, Some((0.0, 2.0)), 1), 0);
    }

    #[test]
    fn shrinks_only_with_a_margin() {
        assert_eq!(wanted(8.0, 0.0, Some((3.9, 2.0)), 3), 3, "two would be full");
        assert_eq!(wanted(8.0, 0.0, Some((3.0, 2.0)), 3), 2);
    }

    #[test]
    fn steers_by_requests_without_rates() {
        assert_eq!(wanted(8.0, 9.0, None, 1), 3);
        assert_eq!(wanted(0.0, 0.0, None, 3), 0);
    }
}
