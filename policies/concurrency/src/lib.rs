//! As many replicas as keep each near a target of requests in it.
//!
//! For: workloads whose capacity is a number of concurrent sequences. Sizes each pool by its own running and waiting
//! requests. Never looks ahead and never waits before going down: `burst-forecast` and `cooldown` do.

use std::collections::BTreeMap;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use trimtab_sdk::{Decision, Need, Observation, Policy, Pool, Refusal, load, replicas};

/// Requests a replica while nothing was learnt.
const DEFAULT_TARGET: f64 = 8.0;
/// What was learnt gives way to what is learnt one to two of these later, so that a slower engine is noticed.
const MEMORY_MS: u64 = 12 * 3_600_000;

/// See `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    target: Target,
    tolerance: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config { target: Target::Fixed(DEFAULT_TARGET), tolerance: 0.1 }
    }
}

/// Running and waiting requests wanted in one replica.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Fixed(f64),
    Auto,
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Target, D::Error> {
        struct Given;
        impl Visitor<'_> for Given {
            type Value = Target;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of requests a replica, or \"auto\"")
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Target, E> {
                Ok(Target::Fixed(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Target, E> {
                Ok(Target::Fixed(number as f64))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Target, E> {
                Ok(Target::Fixed(number as f64))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Target, E> {
                if text == "auto" {
                    Ok(Target::Auto)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }
        }
        from.deserialize_any(Given)
    }
}

/// What is remembered of each pool.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    pools: BTreeMap<String, Memory>,
}

/// One pool: the last answer, which the tolerance is measured from, and the most requests seen running in a replica
/// while others waited, in this period and in the one before it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    answered: Option<u32>,
    most: f64,
    most_before: f64,
    since: u64,
}

/// The policy.
pub struct Concurrency;

impl Policy for Concurrency {
    type Config = Config;
    type State = State;
    const NAME: &'static str = "concurrency";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "As many replicas as keep each near a target of running and waiting requests.";
    const SCHEMA: &'static str = include_str!("../schema.json");

    fn prepare(config: &Config) -> Result<Vec<Need>, Refusal> {
        if let Target::Fixed(target) = config.target
            && !(target > 0.0 && target.is_finite())
        {
            return Err(Refusal::bad_config("/target", "must be greater than 0"));
        }
        if !(0.0..1.0).contains(&config.tolerance) {
            return Err(Refusal::bad_config("/tolerance", "must be at least 0 and less than 1"));
        }
        Ok(vec![Need::required("active-sequences"), Need::required("queue-depth")])
    }

    fn decide(config: &Config, seen: &Observation, state: &mut State) -> Result<Decision, Refusal> {
        state.pools.retain(|name, _| seen.pools.iter().any(|p| p.name == *name));
        let mut decision = Decision::default();
        let mut reasons = Vec::new();
        let mut blind = None;
        for pool in &seen.pools {
            let Some(load) = load::requests(seen, pool).and_then(|s| s.present()) else {
                // Nobody is there to ask before the first replica is ready; later, silence is a fault.
                if pool.ready > 0 {
                    blind = load::missing(seen, pool);
                }
                reasons.push(format!("{}: nothing to measure yet, {} kept", pool.name, pool.desired));
                continue;
            };
            let memory = state.pools.entry(pool.name.clone()).or_default();
            let target = match config.target {
                Target::Fixed(target) => target,
                Target::Auto => learn(memory, seen, pool),
            };
            let before = memory.answered.unwrap_or_else(|| pool.coming());
            let wanted = size(load.max(0.0), target, config.tolerance, before);
            memory.answered = Some(wanted);
            reasons.push(format!("{}: {load:.0} requests at {target:.3} a replica want {wanted}", pool.name));
            decision.note(format!("{}.requests", pool.name), load);
            decision.note(format!("{}.target", pool.name), target);
            decision = decision.serving(&pool.name, wanted.max(pool.min));
        }
        match blind {
            Some(signal) if decision.targets.is_empty() => Err(Refusal::missing_metric(signal)),
            _ => Ok(Decision { reason: reasons.join("; "), ..decision }),
        }
    }
}

/// Replicas for that load; `before` when they would be loaded within the tolerance.
fn size(load: f64, target: f64, tolerance: f64, before: u32) -> u32 {
    let full = target * f64::from(before);
    if before > 0 && (load / full - 1.0).abs() <= tolerance + 1e-9 { before } else { replicas(load / target) }
}

/// What a replica holds when it is full, judged by the most it ran while requests waited.
fn learn(memory: &mut Memory, seen: &Observation, pool: &Pool) -> f64 {
    if seen.now.saturating_sub(memory.since) >= MEMORY_MS {
        // A fleet of the right size seldom has a queue: what was learnt stays until something else was.
        if memory.most > 0.0 {
            memory.most_before = memory.most;
        }
        (memory.most, memory.since) = (0.0, seen.now);
    }
    let present = |signal| load::part(seen, pool, signal).and_then(|s| s.present());
    if let (Some(running), Some(waiting)) = (present("active-sequences"), present("queue-depth"))
        && waiting >= 1.0
        && pool.ready > 0
    {
        memory.most = memory.most.max(running / f64::from(pool.ready));
    }
    let most = memory.most.max(memory.most_before);
    if most >= 1.0 { most } else { DEFAULT_TARGET }
}

trimtab_sdk::export!(Concurrency);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (load, before, wanted) in [
            (0.0, 0, 0),
            (0.0, 3, 0),
            (1.0, 0, 1),
            (8.0, 1, 1),
            (8.8, 1, 1),    // within the tolerance
            (9.0, 1, 2),    // above it
            (80.0, 1, 10),  // straight there
            (73.0, 10, 10), // 0.9125 of what ten hold
            (71.0, 10, 9),
        ] {
            assert_eq!(size(load, 8.0, 0.1, before), wanted, "{load} requests, {before} replicas before");
        }
    }

    #[test]
    fn prepare_refuses_what_cannot_work() {
        let with = |target, tolerance| {
            Concurrency::prepare(&Config { target, tolerance }).map_err(|r| r.issues[0].path.clone())
        };
        assert_eq!(with(Target::Fixed(0.0), 0.1), Err("/target".into()));
        assert_eq!(with(Target::Fixed(f64::NAN), 0.1), Err("/target".into()));
        assert_eq!(with(Target::Auto, 1.0), Err("/tolerance".into()));
        assert_eq!(with(Target::Auto, 0.0).map(|needs| needs.len()), Ok(2));
    }
}
