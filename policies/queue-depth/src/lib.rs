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
        needs.push(match config.per_replica_rate {
            None => Need::optional("service-rate"),
            // There from the first page on, where arrivals take two.
            Some(_) => Need::optional("requests-completed").within("last"),
        });
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
            if let Rates::Known { arrivals, rate } = measured.rates {
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
    rates: Rates,
}

/// What is known of arrivals, and of what one replica completes a second.
#[derive(Debug, Clone, Copy)]
enum Rates {
    /// Both.
    Known { arrivals: f64, rate: f64 },
    /// The engine counts requests and a replica's rate was measured, but arrivals are not known yet: the host or the
    /// first replica has just started. Steering by something else meanwhile would change the answer because of that.
    NotYet { rate: f64 },
    /// The engine does not count requests, or no replica was ever seen at its limit.
    Never,
}

impl Measured {
    fn of(config: &Config, seen: &Observation, pool: &Pool) -> Option<Measured> {
        let present = |signal| load::part(seen, pool, signal).and_then(|s| s.present()).map(|v| v.max(0.0));
        let arrivals = load::part(seen, pool, "request-rate").and_then(|series| {
            let busiest = [series.mean(ARRIVALS_MS / 4), series.mean(ARRIVALS_MS)];
            busiest.into_iter().flatten().reduce(f64::max).map(|rate| rate.max(0.0))
        });
        let measured =
            load::property(seen, pool, "service-rate").and_then(trimtab_sdk::Series::newest).filter(|r| *r > 0.0);
        let counted = present("requests-completed").is_some();
        let rates = match (arrivals, config.per_replica_rate.or(measured)) {
            (Some(arrivals), Some(rate)) => Rates::Known { arrivals, rate },
            (None, Some(rate)) if measured.is_some() || counted => Rates::NotYet { rate },
            _ => Rates::Never,
        };
        Some(Measured { running: present("active-sequences")?, waiting: present("queue-depth")?, rates })
    }

    fn replicas(&self, config: &Config, now: u32) -> u32 {
        // A replica works on whole requests: more replicas than requests wait drain nothing sooner.
        let backlog = |rate: f64| (self.waiting / (rate * config.drain_within.as_seconds())).min(self.waiting);
        let (arrivals, rate) = match self.rates {
            Rates::Known { arrivals, rate } => (arrivals, rate),
            Rates::NotYet { rate } => return now.saturating_add(backlog(rate).floor() as u32),
            Rates::Never => return replicas((self.running + self.waiting) / config.target),
        };
        let backlog = backlog(rate);
        let wanted = replicas(arrivals / rate + backlog);
        // Something runs: that takes a replica even when nothing more arrives.
        let wanted = wanted.max(u32::from(self.running + self.waiting > 0.0));
        if wanted >= now { wanted } else { replicas(arrivals * MARGIN / rate + backlog).clamp(wanted, now) }
    }

    fn told(&self, config: &Config) -> String {
        match self.rates {
            Rates::Known { arrivals, rate } => format!(
                "{arrivals:.2} arrivals/s and {:.0} waiting, to drain within {}, at {rate:.2}/s a replica",
                self.waiting, config.drain_within
            ),
            Rates::NotYet { rate } => format!(
                "arrivals not known yet and {:.0} waiting, to drain within {}, at {rate:.2}/s a replica",
                self.waiting, config.drain_within
            ),
            Rates::Never => format!(
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
        let rates = rates.map_or(Rates::Never, |(arrivals, rate)| Rates::Known { arrivals, rate });
        Measured { running, waiting, rates }.replicas(&Config::default(), now)
    }

    #[test]
    fn carries_the_arrivals_and_drains_the_backlog() {
        assert_eq!(wanted(8.0, 0.0, Some((4.0, 2.0)), 2), 2);
        assert_eq!(
            wanted(8.0, 120.0, Some((4.0, 2.0)), 2),
            4,
            "60 requests are 2 a second over 30 s: one replica more each"
        );
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
    fn keeps_what_is_there_until_arrivals_are_known_and_drains_the_backlog() {
        let wanted = |waiting| {
            let rates = Rates::NotYet { rate: 2.0 };
            Measured { running: 40.0, waiting, rates }.replicas(&Config::default(), 3)
        };
        assert_eq!((wanted(0.0), wanted(59.0), wanted(120.0)), (3, 3, 5));
    }

    #[test]
    fn steers_by_requests_without_rates() {
        assert_eq!(wanted(8.0, 9.0, None, 1), 3);
        assert_eq!(wanted(0.0, 0.0, None, 3), 0);
    }
}
