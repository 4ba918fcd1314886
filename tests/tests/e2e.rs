//! End to end: the built binary against real servers, real sockets and real files.
//!
//! For: what a user would see. Orders of events are asserted, durations are not: those are measured by hand
//! (`bench/README.md`).

mod compile;
mod edits;
mod faults;
mod fleet;
mod foreign;
mod journal;
mod llama;
mod orders;
mod refusals;
mod restart;
mod servers;
mod shadows;
mod state;
mod stories;
mod swap;
mod webhook;
mod zero;

use std::fmt::Write as _;

use trimtab_tests::{place, ports};

/// A pool of simulated engines on this host; `more` is added to the pool.
fn engines(startup: &str, more: &str) -> String {
    let ports = ports::range(24);
    format!(
        "    - {more}
      process:
        command: [\"{}\", engine, --port, \"{{port}}\", --startup, {startup}]
        ports: {}-{}
        drain: {{grace: 3s, timeout: 30s}}",
        place::trimtab().display(),
        ports.start(),
        ports.end()
    )
}

/// A document: `default/NAME`, one pool as written, and what else the spec holds.
fn scaler(name: &str, pool: &str, rest: &str) -> String {
    format!(
        "apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {{name: {name}}}
spec:
  interval: 1s
  pools:
{pool}
{rest}
---
"
    )
}

/// A pool in memory, its replicas' pages at these addresses.
fn dry_run(bounds: &str, replicas: u32, urls: &[String]) -> String {
    let mut text = format!("    - {bounds}\n      dryRun:\n        replicas: {replicas}");
    if !urls.is_empty() {
        write!(text, "\n        endpoints: {urls:?}").unwrap();
    }
    text
}
