//! An innocent workload on a daemon on which the whole hostile corpus is dropped.
//!
//! For: the test that it does not notice, and the measurement of how little. Never judges what it saw.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::corpus;
use crate::daemon::Daemon;
use crate::policies::{put, shipped};
use crate::views::Decision;
use crate::wait::{eventually, holds};

const INNOCENT: &str = "default/innocent";
/// What its policy makes of 20 sequences at 8 each.
pub const REPLICAS: u32 = 3;

/// What was seen of the innocent.
#[derive(Debug)]
pub struct Storm {
    /// Modules dropped, and hostile workloads that use them.
    pub modules: usize,
    /// Calls of hostile policies while it lasted.
    pub hostile_calls: f64,
    /// Without them.
    pub calm: Phase,
    /// With them.
    pub storm: Phase,
    /// Ticks that it missed, ever.
    pub missed: f64,
    /// Counts that its decisions came to.
    pub wanted: BTreeSet<u32>,
    /// What was asked of its target, ever.
    pub actions: f64,
    /// Its decisions in which a stage gave no answer.
    pub faults: Vec<Decision>,
    /// The daemon's resident memory before and after, bytes.
    pub resident: [u64; 2],
}

/// A stretch of ticks.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    /// Ticks in it.
    pub ticks: f64,
    /// Thread CPU time of one.
    pub cpu: Duration,
}

fn document(namespace: &str, name: &str, interval: &str, policy: &str) -> String {
    format!(
        "apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {{namespace: {namespace}, name: {name}}}
spec:
  interval: {interval}
  pools:
    - maxReplicas: 9
      dryRun:
        replicas: {REPLICAS}
        signals: {{active-sequences: 20, queue-depth: 0}}
  policies: [{policy}]
---
"
    )
}

/// Runs it: so long calm, so long under fire.
pub fn run(interval: &str, calm: Duration, storm: Duration) -> Storm {
    let mut daemon = Daemon::new();
    daemon.policy("steer", &shipped("concurrency"));
    daemon.manifest("a.yaml", &document("default", "innocent", interval, "{name: steer, config: {target: 8}}"));
    daemon.start();
    eventually("the innocent decides", || holds(ticks(&daemon) >= 3.0, || "no tick yet".to_owned()));
    let resident = |daemon: &Daemon| crate::processes::usage(daemon.pid()).map_or(0, |usage| usage.resident);
    let before = resident(&daemon);
    let calm = phase(&daemon, calm);
    let folder = daemon.policies_folder().join("evil");
    std::fs::create_dir(&folder).unwrap();
    let mut manifest = String::new();
    let modules = corpus::modules();
    for path in &modules {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        put(&folder.join(format!("{name}.wasm")), &corpus::assemble(path).unwrap());
        manifest += &document("evil", &name, "1s", &format!("{{name: evil, policy: {name}}}"));
    }
    daemon.manifest("evil.yaml", &manifest);
    let storm = phase(&daemon, storm);
    let decisions = daemon.decisions(INNOCENT);
    let id = [("workload", "innocent"), ("namespace", "default")];
    Storm {
        modules: modules.len(),
        hostile_calls: daemon.metric("trimtab_policy_calls_total", &[("tenant", "evil")]),
        calm,
        storm,
        missed: daemon.metric("trimtab_ticks_missed_total", &id),
        wanted: decisions.iter().flat_map(|d| d.pools.iter().map(|pool| pool.to)).collect(),
        actions: daemon.metric("trimtab_actions_total", &id),
        faults: decisions.into_iter().filter(|d| d.stages.iter().any(|stage| stage.error.is_some())).collect(),
        resident: [before, resident(&daemon)],
    }
}

fn ticks(daemon: &Daemon) -> f64 {
    daemon.metric("trimtab_ticks_total", &[("workload", "innocent"), ("namespace", "default")])
}

fn phase(daemon: &Daemon, lasts: Duration) -> Phase {
    let cpu = || daemon.metric("trimtab_tick_cpu_seconds_total", &[("workload", "innocent"), ("namespace", "default")]);
    let (ticks_before, cpu_before) = (ticks(daemon), cpu());
    std::thread::sleep(lasts);
    let count = ticks(daemon) - ticks_before;
    Phase { ticks: count, cpu: Duration::from_secs_f64((cpu() - cpu_before) / count.max(1.0)) }
}
