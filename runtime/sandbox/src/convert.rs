//! Between the records of `trimtab-control` and those of the contract.
//!
//! For: the one file that changes when a second version of the contract comes. Never checks or cuts.

use trimtab_control::policy::{Observation, Pool, Series, Target};

use crate::bindings::trimtab::policy::types as wit;

pub(crate) fn observation(from: &Observation) -> wit::Observation {
    wit::Observation {
        now: from.now.0,
        interval: from.interval.0,
        workload: from.workload.clone(),
        pools: from.pools.iter().map(pool).collect(),
        series: from.series.iter().map(series).collect(),
        proposed: from.proposed.iter().map(target).collect(),
        facts: from.facts.clone(),
        attributes: from.attributes.clone(),
    }
}

fn pool(from: &Pool) -> wit::Pool {
    wit::Pool {
        name: from.name.clone(),
        min: from.min,
        max: from.max,
        desired: from.desired,
        ready: from.ready,
        starting: from.starting,
        draining: from.draining,
        standby: from.standby,
        headroom: from.headroom,
        ready_at: from.ready_at.iter().map(|at| at.0).collect(),
        obtainable: from.obtainable,
        facts: from.facts.clone(),
        attributes: from.attributes.clone(),
    }
}

fn series(from: &Series) -> wit::Series {
    wit::Series {
        signal: from.signal.clone(),
        labels: from.labels.clone(),
        step: from.step.0,
        values: from.values.clone(),
        age: from.age.0,
        coverage: from.coverage,
    }
}

fn target(from: &Target) -> wit::Target {
    wit::Target { pool: from.pool.clone(), tier: from.tier.as_str().to_owned(), replicas: from.replicas }
}
