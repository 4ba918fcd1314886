//! Recorded against computed replicas over time, in an open loop.
//!
//! For: what another policy would have asked for, in numbers that can be compared. Keeps only instants at which something
//! changes. Never says what the load would have become: it stays as it was recorded.

use std::fmt::Write as _;

use serde_json::{Value, json};
use trimtab_control::journal::replay::Tick;
use trimtab_control::time::Time;

use super::shown;
use crate::output::{Align, Paint, Table, clean, number};

/// Rows of the table of one pool.
const ROWS: usize = 40;
pub(super) const OPEN_LOOP: &str = "open loop: load and replicas are as they were recorded, they do not react";

/// Replicas of one pool from an instant on: serving and standby; none: the pool is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: Time,
    pub(super) recorded: Option<(u32, u32)>,
    pub(super) computed: Option<(u32, u32)>,
}

/// One pool over time.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    /// Where something changes, oldest first.
    pub(super) points: Vec<Point>,
    /// Why the computed number is what it is, at each point.
    reasons: Vec<String>,
    decisions: u64,
    different: u64,
    /// Milliseconds times replicas.
    recorded: f64,
    computed: f64,
    newest: Point,
}

/// One workload over time.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) workload: String,
    pub(super) pools: Vec<Pool>,
    /// The last instant.
    pub(super) until: Time,
}

impl Comparison {
    pub(super) fn of(workload: String) -> Comparison {
        Comparison { workload, pools: Vec::new(), until: Time(0) }
    }

    pub(super) fn note(&mut self, tick: &Tick<'_>) {
        let at = tick.decision.at;
        self.until = at;
        let mut names: Vec<&str> = tick.recorded.iter().map(|(name, _)| name.as_str()).collect();
        for pool in &tick.decision.pools {
            if !names.contains(&pool.name.as_str()) {
                names.push(&pool.name);
            }
        }
        for name in names {
            let recorded = tick.recorded.iter().find(|(pool, _)| pool == name).map(|(_, n)| (n.to, n.standby_to));
            let computed = tick.decision.pools.iter().find(|pool| pool.name == name).map(|p| (p.to, p.standby_to));
            let point = Point { at, recorded, computed };
            match self.pools.iter_mut().find(|pool| pool.name == name) {
                Some(pool) => pool.note(point, || tick.decision.reason()),
                None => self.pools.push(Pool::begin(name, point, tick.decision.reason())),
            }
        }
    }
}

impl Pool {
    fn begin(name: &str, point: Point, reason: String) -> Pool {
        Pool {
            name: name.to_owned(),
            points: vec![point],
            reasons: vec![reason],
            decisions: 1,
            different: u64::from(point.recorded != point.computed),
            recorded: 0.0,
            computed: 0.0,
            newest: point,
        }
    }

    fn note(&mut self, point: Point, reason: impl FnOnce() -> String) {
        let passed = point.at.since(self.newest.at).0 as f64;
        let replicas = |n: Option<(u32, u32)>| f64::from(n.map_or(0, |(serving, standby)| serving + standby));
        self.recorded += passed * replicas(self.newest.recorded);
        self.computed += passed * replicas(self.newest.computed);
        self.decisions += 1;
        self.different += u64::from(point.recorded != point.computed);
        if (point.recorded, point.computed) != (self.newest.recorded, self.newest.computed) {
            self.points.push(point);
            self.reasons.push(reason());
        }
        self.newest = point;
    }

    fn hours(&self) -> (f64, f64) {
        (self.recorded / 3_600_000.0, self.computed / 3_600_000.0)
    }
}

/// The pools of one workload, as JSON.
pub(super) fn page(comparison: &Comparison) -> Value {
    let point = |point: &Point| {
        let serving = |n: Option<(u32, u32)>| n.map(|(serving, _)| serving);
        let standby = |n: Option<(u32, u32)>| n.map(|(_, standby)| standby);
        json!({
            "at": shown(point.at),
            "recorded": serving(point.recorded),
            "computed": serving(point.computed),
            "recordedStandby": standby(point.recorded),
            "computedStandby": standby(point.computed),
        })
    };
    let pool = |pool: &Pool| {
        let (recorded, computed) = pool.hours();
        json!({
            "name": pool.name,
            "decisions": pool.decisions,
            "different": pool.different,
            "recordedReplicaHours": recorded,
            "computedReplicaHours": computed,
            "points": pool.points.iter().map(point).collect::<Vec<_>>(),
        })
    };
    comparison.pools.iter().map(pool).collect()
}

fn cell(replicas: Option<(u32, u32)>) -> String {
    match replicas {
        None => "-".to_owned(),
        Some((serving, 0)) => serving.to_string(),
        Some((serving, standby)) => format!("{serving} +{standby}"),
    }
}

/// A summary, then for each pool the instants at which something changes.
pub(super) fn table(comparisons: &[Comparison], paint: Paint) -> String {
    let columns = [
        ("WORKLOAD", Align::Left),
        ("POOL", Align::Left),
        ("DECISIONS", Align::Right),
        ("DIFFERENT", Align::Right),
        ("REPLICA-HOURS RECORDED", Align::Right),
        ("COMPUTED", Align::Right),
    ];
    let mut summary = Table::new(&columns);
    for comparison in comparisons {
        for pool in &comparison.pools {
            let (recorded, computed) = pool.hours();
            summary.row([
                comparison.workload.clone(),
                pool.name.clone(),
                pool.decisions.to_string(),
                pool.different.to_string(),
                number(recorded),
                number(computed),
            ]);
        }
    }
    let mut out = format!("\n{}\n\n{}", paint.strong(OPEN_LOOP), summary.render());
    for comparison in comparisons {
        for pool in comparison.pools.iter().filter(|pool| pool.different > 0) {
            let _ = writeln!(out, "\n{}", paint.strong(&clean(&format!("{}  {}", comparison.workload, pool.name))));
            let columns =
                [("AT", Align::Left), ("RECORDED", Align::Right), ("COMPUTED", Align::Right), ("WHY", Align::Left)];
            let mut rows = Table::indented(&columns, 2);
            for (point, reason) in pool.points.iter().zip(&pool.reasons).take(ROWS) {
                rows.row([shown(point.at), cell(point.recorded), cell(point.computed), reason.clone()]);
            }
            out.push_str(&rows.render());
            let more = pool.points.len().saturating_sub(ROWS);
            if more > 0 {
                let _ = writeln!(out, "  {}", paint.faint(&format!("and {more} more: -o json has them all")));
            }
        }
    }
    out
}
