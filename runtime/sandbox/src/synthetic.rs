//! An observation made up from a policy's needs.
//!
//! For: the probe of a policy for a workload that has none yet, and the author's first try. It is healthy and dull: a
//! probe that fails on it would fail on anything. Never used to decide.

use trimtab_control::policy::{MetricNeed, Observation, Pool, Preparation, Series, Target, Tier};
use trimtab_control::time::{Span, Time};

/// 2026-01-01T00:00:00Z: fixed, so that probes repeat.
const NOW: Time = Time(1_767_225_600_000);
const INTERVAL: Span = Span::seconds(15);
/// Most values a series of a probe has.
const MAX_VALUES: u64 = 1440;

/// One pool with two ready replicas, and for each need one series that is always 1.
pub fn observation(preparation: &Preparation) -> Observation {
    let pool = Pool {
        name: "default".into(),
        min: 1,
        max: 10,
        desired: 2,
        ready: 2,
        starting: 0,
        draining: 0,
        standby: 0,
        headroom: 0,
        ready_at: Vec::new(),
        obtainable: None,
        facts: vec![
            ("startup-p50-ms".into(), 180_000.0),
            ("startup-p90-ms".into(), 180_000.0),
            ("startup-samples".into(), 0.0),
            ("gpus-per-replica".into(), 1.0),
        ],
        attributes: Vec::new(),
    };
    Observation {
        now: NOW,
        interval: INTERVAL,
        workload: "probe".into(),
        pools: vec![pool],
        series: preparation.needs.iter().map(series).collect(),
        proposed: vec![Target { pool: "default".into(), tier: Tier::Serving, replicas: 2 }],
        facts: vec![("utc-offset-minutes".into(), 0.0)],
        attributes: Vec::new(),
    }
}

fn series(need: &MetricNeed) -> Series {
    let step = if need.step.0 == 0 { INTERVAL } else { need.step };
    let count = need.window.0.div_ceil(step.0).clamp(1, MAX_VALUES);
    Series {
        signal: need.signal.clone(),
        labels: need.by.iter().map(|label| (label.clone(), "default".to_owned())).collect(),
        step,
        values: vec![1.0; usize::try_from(count).unwrap_or(1)],
        age: Span(0),
        coverage: 1.0,
    }
}
