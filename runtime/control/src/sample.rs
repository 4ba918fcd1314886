//! What sources and targets report: readings of signals, and the replicas of a pool.
//!
//! For: the only two ways in which facts of the world enter the controller. Never judges them: sanitising, ageing and
//! coverage belong to `series`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Pairs of name and value, sorted by name, names unique.
pub type Labels = Vec<(String, String)>;

/// Who a sample speaks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// One replica of one pool, read from the replica itself.
    Replica {
        /// The pool's name.
        pool: Arc<str>,
        /// The replica's identity, as the target names it.
        replica: Arc<str>,
    },
    /// Something that speaks for the whole workload: an exposition page, a query.
    Query,
}

/// A cumulative histogram, as exposition formats give it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Upper bounds (ascending, in the signal's unit; the last may be infinite) with cumulative counts.
    pub buckets: Vec<(f64, f64)>,
}

/// One number, or one histogram, as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// A level that goes up and down.
    Gauge(f64),
    /// A running total since the replica started; it may be reset to zero.
    Counter(f64),
    /// A running histogram since the replica started.
    Histogram(Arc<Histogram>),
}

/// One reading of one signal, with the instant it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Whom it speaks for.
    pub origin: Origin,
    /// Raw signal name: see `signals` for the raw names that canonical signals are made of.
    pub signal: Arc<str>,
    /// Labels of the reading beyond pool and replica, such as `model`.
    pub labels: Labels,
    /// When it was taken.
    pub at: Time,
    /// What was read.
    pub reading: Reading,
}

/// What a replica does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicaState {
    /// Takes requests.
    Ready,
    /// On its way to ready.
    Starting,
    /// Finishes its work, then stops.
    Draining,
    /// Holds its GPUs, serves nothing, wakes in seconds.
    Standby,
    /// Given up by its target, until someone repairs it.
    Failed,
}

/// One replica, as its target reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Identity: a replica that was replaced has another.
    pub id: Arc<str>,
    /// What it does now.
    pub state: ReplicaState,
    /// Since when it is in that state.
    pub since: Time,
    /// True while it starts again after a crash (such starts are not start-up times of a scale-up).
    pub restarting: bool,
}

/// What a target reports of one pool. Reports are whole: a replica that is not named is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolReport {
    /// The pool's name.
    pub pool: Arc<str>,
    /// When the target answered.
    pub at: Time,
    /// Serving replicas the target was last asked for, as the target knows it.
    pub desired: u32,
    /// Standby replicas the target was last asked for; 0 for targets that have no such tier.
    pub standby: u32,
    /// Whether the target has a standby tier.
    pub can_standby: bool,
    /// True while the target replaces one generation of replicas by another.
    pub rolling_out: bool,
    /// Every replica there is, sorted by id.
    pub replicas: Vec<Replica>,
}

/// What the controller is given before a tick.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Intake {
    /// Readings, in any order; at most one per origin, signal, labels and instant counts.
    pub samples: Vec<Sample>,
    /// Pools whose target answered. A pool that is not named keeps its last report.
    pub pools: Vec<PoolReport>,
    /// Offset of the workload's time zone from UTC at this instant, minutes.
    pub utc_offset_minutes: i32,
}
