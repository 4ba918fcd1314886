//! 100 swaps by rename, each another digest, under a 1 s tick: from the rename to the digest in the status, and ticks
//! that were missed.

use std::time::{Duration, Instant};

use serde_json::json;
use trimtab_tests::daemon::Daemon;
use trimtab_tests::figures::{Chance, note, quantile_ms, tell};
use trimtab_tests::policies::{digest, edition, shipped};
use trimtab_tests::views::Workload;

const MANIFEST: &str = "apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {name: chat}
spec:
  interval: 1s
  pools:
    - maxReplicas: 9
      dryRun: {replicas: 3, signals: {active-sequences: 20, queue-depth: 0}}
  policies: [{name: steer}]
";

pub(crate) fn run(swaps: usize) {
    let module = shipped("concurrency");
    let mut daemon = Daemon::new();
    daemon.policy("steer", &edition(&module, 0));
    daemon.manifest("chat.yaml", MANIFEST);
    daemon.start();
    let ticks = daemon.metric("trimtab_ticks_total", &[]);
    let mut chance = Chance::new(1);
    let mut took = Vec::new();
    for number in 1..=swaps {
        std::thread::sleep(Duration::from_millis(300) + chance.duration(Duration::from_secs(1)));
        let next = edition(&module, u32::try_from(number).unwrap());
        let wanted = digest(&next);
        daemon.policy("steer", &next);
        let renamed = Instant::now();
        loop {
            let seen: Result<Workload, String> = daemon.try_get("/v1/workloads/default/chat");
            if seen.is_ok_and(|w| w.stage("steer").digest.as_deref() == Some(&wanted)) {
                break;
            }
            assert!(renamed.elapsed() < Duration::from_mins(1), "swap {number} was never seen");
            std::thread::sleep(Duration::from_millis(2));
        }
        took.push(renamed.elapsed());
        if number % 20 == 0 {
            note(&format!("{number} of {swaps}"));
        }
    }
    tell(&json!({
        "measured": "swaps",
        "swaps": swaps,
        "ticks": daemon.metric("trimtab_ticks_total", &[]) - ticks,
        "missedTicks": daemon.metric("trimtab_ticks_missed_total", &[]),
        "renameToStatusMs": {
            "p50": quantile_ms(&took, 0.5),
            "p95": quantile_ms(&took, 0.95),
            "p99": quantile_ms(&took, 0.99),
            "max": quantile_ms(&took, 1.0),
        },
        "desired": daemon.pool("default/chat").desired,
    }));
}
