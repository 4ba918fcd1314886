//! A daemon with ten workloads at 15 s, each of two replicas that have nothing to do: its memory and its CPU.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use trimtab_tests::daemon::Daemon;
use trimtab_tests::figures::{note, tell};
use trimtab_tests::processes::usage;
use trimtab_tests::replica::Replica;

pub(crate) fn run(seconds: usize) {
    let replicas: Vec<Replica> = (0..20).map(|_| Replica::start(4, 0)).collect();
    let mut manifest = String::new();
    for (number, pair) in replicas.chunks(2).enumerate() {
        write!(
            manifest,
            "apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {{name: chat-{number}}}
spec:
  interval: 15s
  pools:
    - maxReplicas: 9
      minReplicas: 2
      dryRun: {{replicas: 2, endpoints: [{:?}, {:?}]}}
  metrics: [{{engine: vllm}}]
  policies:
    - {{name: concurrency}}
    - {{name: queue-depth, combine: max}}
    - {{name: burst-forecast, combine: max}}
    - {{name: cooldown}}
---
",
            pair[0].url(),
            pair[1].url()
        )
        .unwrap();
    }
    let daemon = Daemon::with(&manifest);
    note("settling for 45 s");
    std::thread::sleep(Duration::from_secs(45));
    let before = usage(daemon.pid()).unwrap();
    note(&format!("measuring for {seconds} s"));
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let after = usage(daemon.pid()).unwrap();
    tell(&json!({
        "measured": "idle",
        "workloads": daemon.workloads().len(),
        "seconds": seconds,
        "residentMiB": (after.resident as f64 / 1_048_576.0 * 10.0).round() / 10.0,
        "cpuPercentOfOneCore": ((after.cpu_seconds - before.cpu_seconds) / seconds as f64 * 10_000.0).round() / 100.0,
        "threads": after.threads,
    }));
}
