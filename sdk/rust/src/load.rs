//! The requests that each pool has to serve: running and waiting, with shares of what belongs to no pool.
//!
//! For: policies that steer several pools. A series with the label `pool` is that pool's own. A series without one (a
//! gateway's queue) is shared among the pools in proportion to the replicas proposed for them, so that it keeps their
//! proportions. Never turns a missing value into zero.

use crate::{Observation, Pool, Series};

/// One pool's part of a signal that can be split (a count or a rate), each value multiplied into it.
#[must_use]
pub fn part(seen: &Observation, pool: &Pool, signal: &str) -> Option<Series> {
    let own = seen.series_of(signal, &pool.name).cloned();
    let shared = seen.unpooled(signal).map(|series| {
        let share = share(seen, pool);
        Series { values: series.values.iter().map(|v| v * share).collect(), ..series.clone() }
    });
    match (own, shared) {
        (Some(own), Some(shared)) => Some(add(&own, &shared, |a, b| a + b)),
        (own, shared) => own.or(shared),
    }
}

/// One pool's value of a signal that is a property of each replica (a rate per replica): its own, else the workload's.
#[must_use]
pub fn property<'a>(seen: &'a Observation, pool: &Pool, signal: &str) -> Option<&'a Series> {
    seen.series_of(signal, &pool.name).or_else(|| seen.unpooled(signal))
}

/// Requests running and waiting in that pool. A step at which either is missing is missing.
#[must_use]
pub fn requests(seen: &Observation, pool: &Pool) -> Option<Series> {
    Some(add(&part(seen, pool, "active-sequences")?, &part(seen, pool, "queue-depth")?, |a, b| a + b))
}

/// The signal among running and waiting that is missing for that pool now.
#[must_use]
pub fn missing(seen: &Observation, pool: &Pool) -> Option<&'static str> {
    ["queue-depth", "active-sequences"]
        .into_iter()
        .find(|signal| part(seen, pool, signal).and_then(|s| s.present()).is_none())
}

/// The share of that pool in what belongs to no pool.
fn share(seen: &Observation, pool: &Pool) -> f64 {
    let weight = |p: &Pool| f64::from(seen.proposed(&p.name, "serving"));
    let total: f64 = seen.pools.iter().map(weight).sum();
    if total > 0.0 { weight(pool) / total } else { 1.0 / seen.pools.len().max(1) as f64 }
}

/// Two series aligned at their newest steps; as long as the longer one.
fn add(a: &Series, b: &Series, sum: impl Fn(f64, f64) -> f64) -> Series {
    let steps = a.values.len().max(b.values.len());
    let at = |s: &Series, back: usize| s.values.len().checked_sub(back).map_or(f64::NAN, |i| s.values[i]);
    let values = (1..=steps).rev().map(|back| sum(at(a, back), at(b, back))).collect();
    Series { values, age: a.age.max(b.age), coverage: a.coverage.min(b.coverage), ..a.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn seen(series: &[(&str, &str, f64)]) -> Observation {
        let pool = |name: &str| Pool { name: name.into(), ..Pool::default() };
        let target = |pool: &str, replicas| Target { pool: pool.into(), tier: "serving".into(), replicas };
        let series = series.iter().map(|(signal, pool, value)| Series {
            signal: (*signal).into(),
            labels: if pool.is_empty() { vec![] } else { vec![("pool".into(), (*pool).into())] },
            step: 1000,
            values: vec![*value],
            ..Series::default()
        });
        Observation {
            pools: vec![pool("a"), pool("b")],
            proposed: vec![target("a", 3), target("b", 1)],
            series: series.collect(),
            ..Observation::default()
        }
    }

    fn present(seen: &Observation, pool: usize, signal: &str) -> Option<f64> {
        part(seen, &seen.pools[pool], signal)?.present()
    }

    #[test]
    fn what_belongs_to_no_pool_is_shared_in_proportion() {
        let seen = seen(&[("queue-depth", "", 8.0), ("queue-depth", "a", 1.0)]);
        assert_eq!(present(&seen, 0, "queue-depth"), Some(7.0));
        assert_eq!(present(&seen, 1, "queue-depth"), Some(2.0));
    }

    #[test]
    fn a_shared_part_that_is_missing_is_not_zero() {
        let seen = seen(&[("queue-depth", "", f64::NAN), ("queue-depth", "a", 1.0)]);
        assert_eq!(present(&seen, 0, "queue-depth"), None);
    }

    #[test]
    fn a_missing_half_makes_the_whole_missing() {
        let seen = seen(&[("queue-depth", "a", 8.0), ("active-sequences", "a", f64::NAN)]);
        assert_eq!(requests(&seen, &seen.pools[0]).and_then(|s| s.present()), None);
        assert_eq!(missing(&seen, &seen.pools[0]), Some("active-sequences"));
        assert_eq!(missing(&seen, &seen.pools[1]), Some("queue-depth"));
    }
}
