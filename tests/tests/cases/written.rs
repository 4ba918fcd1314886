//! Cases as people write them, and what a policy sees of them. The format and its defaults are docs/cases.md.
//!
//! Never runs anything.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use trimtab_control::policy::{MetricNeed, Observation, Pool, Series, Target, Tier};
use trimtab_control::time::{Span, Time};

/// Monday, 2026-01-05 00:00 UTC.
const MONDAY: Time = Time(1_767_571_200_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default = "nothing")]
    pub(crate) config: Value,
    pub(crate) state: Option<String>,
    observation: Option<Seen>,
    expect: Option<Expect>,
    #[serde(default)]
    timeline: Vec<Step>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    observation: Seen,
    expect: Expect,
}

/// What the policy should answer.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) targets: BTreeMap<String, Replicas>,
    pub(crate) reason: String,
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) recheck: Option<String>,
    pub(crate) error: Option<Refusal>,
}

/// A refusal: its code, and a part of its message.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// Serving replicas, or replicas by tier.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Replicas {
    Serving(u32),
    Tiers { serving: Option<u32>, standby: Option<u32> },
}

/// What the policy sees.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Seen {
    now: Option<String>,
    at: Option<String>,
    interval: Option<String>,
    workload: Option<String>,
    pool: Option<SeenPool>,
    pools: Vec<SeenPool>,
    series: BTreeMap<String, SeenSeries>,
    proposed: BTreeMap<String, Replicas>,
    facts: BTreeMap<String, f64>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct SeenPool {
    name: String,
    min: u32,
    max: u32,
    ready: u32,
    starting: u32,
    desired: Option<u32>,
    draining: u32,
    standby: u32,
    headroom: u32,
    ready_at: Option<Vec<String>>,
    obtainable: Option<u32>,
    facts: BTreeMap<String, f64>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum SeenSeries {
    Newest(Option<f64>),
    Values(Vec<Option<f64>>),
    Full(FullSeries),
    Several(Vec<FullSeries>),
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FullSeries {
    value: Option<f64>,
    steps: Option<usize>,
    values: Option<Vec<Option<f64>>>,
    step: Option<String>,
    age: Option<String>,
    coverage: Option<f64>,
    labels: BTreeMap<String, String>,
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Default for SeenPool {
    fn default() -> SeenPool {
        SeenPool {
            name: "default".into(),
            min: 1,
            max: 100,
            ready: 1,
            starting: 0,
            desired: None,
            draining: 0,
            standby: 0,
            headroom: 0,
            ready_at: None,
            obtainable: None,
            facts: BTreeMap::new(),
            attributes: BTreeMap::new(),
        }
    }
}

/// All cases of a file.
pub(crate) fn read(text: &str) -> Result<Vec<Case>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
    if file.cases.is_empty() { Err("no cases".into()) } else { Ok(file.cases) }
}

/// A duration.
pub(crate) fn span(text: &str) -> Result<Span, String> {
    let read = trimtab_sdk::Span::parse(text).ok_or_else(|| format!("`{text}` is no duration"))?;
    Ok(Span(read.0))
}

impl Case {
    /// What it sees and should answer, one or several.
    pub(crate) fn steps(&self) -> Result<Vec<(Seen, Expect)>, String> {
        match (&self.observation, &self.expect, self.timeline.as_slice()) {
            (None, None, []) => Err("neither `expect` nor `timeline`".into()),
            (seen, Some(expect), []) => Ok(vec![(seen.clone().unwrap_or_default(), expect.clone())]),
            (None, None, steps) => Ok(steps.iter().map(|s| (s.observation.clone(), s.expect.clone())).collect()),
            _ => Err("`timeline` stands instead of `observation` and `expect`".into()),
        }
    }
}

impl Seen {
    /// As a policy with these needs is given it, `before` being the instant of the observation before.
    pub(crate) fn observation(&self, before: Option<Time>, needs: &[MetricNeed]) -> Result<Observation, String> {
        let interval = self.interval.as_deref().map_or(Ok(Span::seconds(15)), span)?;
        let now = match (&self.now, &self.at) {
            (Some(now), None) => {
                let stamp: jiff::Timestamp = now.parse().map_err(|e| format!("`{now}`: {e}"))?;
                Time(u64::try_from(stamp.as_millisecond()).map_err(|e| e.to_string())?)
            }
            (None, Some(at)) => MONDAY + span(at)?,
            (None, None) => before.map_or(MONDAY, |before| before + interval),
            (Some(_), Some(_)) => return Err("`now` and `at` say the same".into()),
        };
        let written = match (&self.pool, self.pools.as_slice()) {
            (None, []) => vec![SeenPool::default()],
            (Some(pool), []) => vec![pool.clone()],
            (None, pools) => pools.to_vec(),
            (Some(_), _) => return Err("`pool` stands instead of `pools`".into()),
        };
        let pools = written.iter().map(|pool| pool.pool(now)).collect::<Result<Vec<_>, _>>()?;
        let proposed = self.proposed(&pools)?;
        let series = self.series(&pools, interval, needs)?;
        Ok(Observation {
            now,
            interval,
            workload: self.workload.clone().unwrap_or_else(|| "case".into()),
            pools,
            series,
            proposed,
            facts: pairs(&self.facts),
            attributes: pairs(&self.attributes),
        })
    }

    /// What is desired now, or what the case says instead.
    fn proposed(&self, pools: &[Pool]) -> Result<Vec<Target>, String> {
        if let Some(stranger) = self.proposed.keys().find(|name| pools.iter().all(|p| p.name != **name)) {
            return Err(format!("proposed for `{stranger}`, which is no pool"));
        }
        let targets = pools.iter().flat_map(|pool| {
            let (serving, standby) = match self.proposed.get(&pool.name) {
                Some(Replicas::Serving(serving)) => (Some(*serving), None),
                Some(Replicas::Tiers { serving, standby }) => (*serving, *standby),
                None => (None, None),
            };
            let target = |tier, replicas| Target { pool: pool.name.clone(), tier, replicas };
            [
                target(Tier::Serving, serving.unwrap_or(pool.desired)),
                target(Tier::Standby, standby.unwrap_or(pool.standby)),
            ]
        });
        Ok(targets.collect())
    }

    /// In the order of the needs. A signal that the case does not name was never seen.
    fn series(&self, pools: &[Pool], interval: Span, needs: &[MetricNeed]) -> Result<Vec<Series>, String> {
        if let Some(stranger) = self.series.keys().find(|name| needs.iter().all(|n| n.signal != **name)) {
            return Err(format!("a series of `{stranger}`, which the policy does not ask for"));
        }
        let mut all = Vec::new();
        for need in needs {
            let full = match self.series.get(&need.signal) {
                None => never_seen(pools, need),
                Some(SeenSeries::Newest(value)) => vec![FullSeries { value: *value, ..FullSeries::default() }],
                Some(SeenSeries::Values(values)) => {
                    vec![FullSeries { values: Some(values.clone()), ..FullSeries::default() }]
                }
                Some(SeenSeries::Full(one)) => vec![one.clone()],
                Some(SeenSeries::Several(several)) => several.clone(),
            };
            for one in full {
                all.push(one.series(pools, interval, need)?);
            }
        }
        Ok(all)
    }
}

/// An empty series, or one for each pool where they are kept apart.
fn never_seen(pools: &[Pool], need: &MetricNeed) -> Vec<FullSeries> {
    let empty = || FullSeries { values: Some(Vec::new()), coverage: Some(0.0), ..FullSeries::default() };
    if !need.by.iter().any(|label| label == "pool") {
        return vec![empty()];
    }
    let of = |pool: &Pool| FullSeries { labels: [("pool".to_owned(), pool.name.clone())].into(), ..empty() };
    pools.iter().map(of).collect()
}

impl FullSeries {
    fn series(&self, pools: &[Pool], interval: Span, need: &MetricNeed) -> Result<Series, String> {
        let values = match &self.values {
            Some(values) => values.clone(),
            None => vec![self.value; self.steps.unwrap_or(1)],
        };
        // The label `pool` is the only pool's name; with several, a value without one speaks for the whole workload.
        let mut labels = pairs(&self.labels);
        if need.by.iter().any(|label| label == "pool") && !self.labels.contains_key("pool") {
            let name = if let [only] = pools { only.name.clone() } else { String::new() };
            labels.push(("pool".into(), name));
        }
        Ok(Series {
            signal: need.signal.clone(),
            labels,
            step: self.step.as_deref().map_or(Ok(interval), span)?,
            values: values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect(),
            age: self.age.as_deref().map_or(Ok(Span(0)), span)?,
            coverage: self.coverage.unwrap_or(1.0),
        })
    }
}

impl SeenPool {
    fn pool(&self, now: Time) -> Result<Pool, String> {
        let mut facts: BTreeMap<String, f64> = [
            ("startup-p50-ms".to_owned(), 120_000.0),
            ("startup-p90-ms".to_owned(), 180_000.0),
            ("startup-samples".to_owned(), 0.0),
        ]
        .into();
        facts.extend(self.facts.clone());
        let usual = Span(facts["startup-p50-ms"] as u64);
        let ready_at = match &self.ready_at {
            None => vec![now + usual; self.starting as usize],
            Some(times) => times.iter().map(|t| Ok(now + span(t)?)).collect::<Result<Vec<_>, String>>()?,
        };
        if ready_at.len() != self.starting as usize {
            return Err(format!("pool {}: {} in `readyAt`, {} starting", self.name, ready_at.len(), self.starting));
        }
        Ok(Pool {
            name: self.name.clone(),
            min: self.min,
            max: self.max,
            desired: self.desired.unwrap_or(self.ready + self.starting),
            ready: self.ready,
            starting: self.starting,
            draining: self.draining,
            standby: self.standby,
            headroom: self.headroom,
            ready_at,
            obtainable: self.obtainable,
            facts: facts.into_iter().collect(),
            attributes: pairs(&self.attributes),
        })
    }
}

fn pairs<T: Clone>(map: &BTreeMap<String, T>) -> Vec<(String, T)> {
    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}
