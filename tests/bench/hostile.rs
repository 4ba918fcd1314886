//! The hostile corpus dropped on a daemon with an innocent workload at 1 s: what a tick of that costs, before and during.

use std::time::Duration;

use serde_json::json;
use trimtab_tests::figures::{note, tell};
use trimtab_tests::storm;

pub(crate) fn run(seconds: usize) {
    let lasts = Duration::from_secs(seconds as u64);
    note(&format!("{seconds} s calm, then {seconds} s under fire"));
    let seen = storm::run("1s", lasts, lasts);
    let micros = |cpu: Duration| (cpu.as_secs_f64() * 1e7).round() / 10.0;
    let change = seen.storm.cpu.as_secs_f64() / seen.calm.cpu.as_secs_f64() - 1.0;
    tell(&json!({
        "measured": "hostile",
        "modules": seen.modules,
        "hostileCalls": seen.hostile_calls,
        "ticks": [seen.calm.ticks, seen.storm.ticks],
        "threadCpuMicrosPerTick": [micros(seen.calm.cpu), micros(seen.storm.cpu)],
        "changePercent": (change * 1000.0).round() / 10.0,
        "missed": seen.missed,
        "wanted": seen.wanted,
        "actions": seen.actions,
        "residentMiB": seen.resident.map(|bytes| bytes >> 20),
    }));
}
