//! An observation as people write it, in YAML or JSON.
//!
//! For: `policy call`. The names are the contract's in camelCase; durations are `15s` or milliseconds, instants RFC 3339
//! or milliseconds; a missing value is `null`; what is left out is zero or empty, and `proposed` is what is desired now.
//! Never fills in a number that a policy could mistake for a measurement.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use trimtab_control::policy::{Observation, Pool, Series, Target, Tier};
use trimtab_control::time::{Span, Time};

use crate::args::duration;

/// The whole observation.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ObservationFile {
    #[serde(default)]
    now: Instant,
    #[serde(default = "usual_interval")]
    interval: Lasting,
    #[serde(default = "usual_name")]
    workload: String,
    pools: Vec<PoolFile>,
    #[serde(default)]
    series: Vec<SeriesFile>,
    proposed: Option<Vec<Target>>,
    #[serde(default)]
    facts: BTreeMap<String, f64>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PoolFile {
    #[serde(default = "usual_pool")]
    name: String,
    #[serde(default)]
    min: u32,
    max: u32,
    #[serde(default)]
    desired: u32,
    #[serde(default)]
    ready: u32,
    #[serde(default)]
    starting: u32,
    #[serde(default)]
    draining: u32,
    #[serde(default)]
    standby: u32,
    #[serde(default)]
    headroom: u32,
    #[serde(default)]
    ready_at: Vec<Instant>,
    obtainable: Option<u32>,
    #[serde(default)]
    facts: BTreeMap<String, f64>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SeriesFile {
    signal: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default = "usual_interval")]
    step: Lasting,
    values: Vec<Option<f64>>,
    #[serde(default)]
    age: Lasting,
    #[serde(default = "whole")]
    coverage: f64,
}

fn usual_interval() -> Lasting {
    Lasting(15_000)
}

fn usual_name() -> String {
    "workload".to_owned()
}

fn usual_pool() -> String {
    "default".to_owned()
}

fn whole() -> f64 {
    1.0
}

/// Milliseconds, or `15s`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Lasting(u64);

/// Unix milliseconds, or RFC 3339.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Instant(u64);

/// A number of milliseconds, or a text that is read as one.
struct Millis {
    expecting: &'static str,
    read: fn(&str) -> Result<u64, String>,
}

impl Visitor<'_> for Millis {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        u64::try_from(value).map_err(|_| E::custom(format!("{value} is negative; expected {}", self.expecting)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        (self.read)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Lasting, D::Error> {
        let read = |text: &str| match text {
            "0s" => Ok(0),
            text => duration(text).map(|d| d.as_millis() as u64),
        };
        from.deserialize_any(Millis { expecting: "a duration such as 15s, or milliseconds", read }).map(Lasting)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Instant, D::Error> {
        let read = |text: &str| {
            let stamp: jiff::Timestamp = text.parse().map_err(|e| format!("`{text}` is no RFC 3339 instant: {e}"))?;
            u64::try_from(stamp.as_millisecond()).map_err(|_| format!("`{text}` lies before 1970"))
        };
        from.deserialize_any(Millis { expecting: "an RFC 3339 instant, or Unix milliseconds", read }).map(Instant)
    }
}

impl ObservationFile {
    /// As a policy is given it.
    pub(crate) fn into_observation(self) -> Observation {
        let desired = |pool: &PoolFile| {
            let target = |tier, replicas| Target { pool: pool.name.clone(), tier, replicas };
            [target(Tier::Serving, pool.desired), target(Tier::Standby, pool.standby)]
        };
        let proposed = self.proposed.unwrap_or_else(|| self.pools.iter().flat_map(desired).collect());
        Observation {
            now: Time(self.now.0),
            interval: Span(self.interval.0),
            workload: self.workload,
            pools: self.pools.into_iter().map(PoolFile::into_pool).collect(),
            series: self.series.into_iter().map(SeriesFile::into_series).collect(),
            proposed,
            facts: self.facts.into_iter().collect(),
            attributes: self.attributes.into_iter().collect(),
        }
    }
}

impl PoolFile {
    fn into_pool(self) -> Pool {
        Pool {
            name: self.name,
            min: self.min,
            max: self.max,
            desired: self.desired,
            ready: self.ready,
            starting: self.starting,
            draining: self.draining,
            standby: self.standby,
            headroom: self.headroom,
            ready_at: self.ready_at.into_iter().map(|at| Time(at.0)).collect(),
            obtainable: self.obtainable,
            facts: self.facts.into_iter().collect(),
            attributes: self.attributes.into_iter().collect(),
        }
    }
}

impl SeriesFile {
    fn into_series(self) -> Series {
        Series {
            signal: self.signal,
            labels: self.labels.into_iter().collect(),
            step: Span(self.step.0),
            values: self.values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect(),
            age: Span(self.age.0),
            coverage: self.coverage,
        }
    }
}
