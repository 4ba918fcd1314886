//! Modules that change again and again, with a call of each: what stays behind, and what a start costs.
//!
//! So many modules with digests of their own are compiled, kept, loaded, called once and dropped; resident memory, open
//! files and maps are told after a hundred and at the end. Then a new sandbox over the same cache admits a hundred.

use std::time::Instant;

use serde_json::{Value, json};
use trimtab_control::policy::Policy as _;
use trimtab_sandbox::{Sandbox, SandboxConfig};
use trimtab_tests::figures::{note, tell};
use trimtab_tests::policies::{edition, shipped};
use trimtab_tests::processes::usage;

use crate::calls::observation;

/// Modules there are; each is reloaded in turn.
const MODULES: usize = 100;
/// Loads after which the first look is taken.
const SETTLED: usize = 100;

pub(crate) fn run(reloads: usize) {
    let folder = tempfile::tempdir().unwrap();
    let config = || SandboxConfig { cache: Some(folder.path().join("compiled")), ..SandboxConfig::default() };
    let sandbox = Sandbox::new(config()).unwrap();
    let module = shipped("concurrency");
    let modules: Vec<Vec<u8>> = (0..MODULES).map(|n| edition(&module, u32::try_from(n).unwrap())).collect();
    let observation = observation();
    let mut first = Value::Null;
    let begun = Instant::now();
    for n in 0..reloads.max(SETTLED) {
        let admitted = sandbox.admit(&modules[n % MODULES]).unwrap();
        drop(admitted.decide("{}", &observation, &[]));
        if n + 1 == MODULES {
            note("every module was compiled once");
        }
        if n + 1 == SETTLED + MODULES {
            first = held();
        }
    }
    let last = held();
    let each = begun.elapsed().as_secs_f64() * 1e3 / reloads as f64;
    drop(sandbox);
    let warm = Sandbox::new(config()).unwrap();
    let begun = Instant::now();
    let admitted: Vec<_> = modules.iter().map(|module| warm.admit(module).unwrap()).collect();
    let start = begun.elapsed();
    tell(&json!({
        "measured": "reloads", "reloads": reloads, "millisecondsEach": (each * 100.0).round() / 100.0,
        "afterHundred": first, "atTheEnd": last,
        "warmStart": {"modules": admitted.len(), "milliseconds": (start.as_secs_f64() * 1e4).round() / 10.0},
    }));
}

/// What this process holds.
fn held() -> Value {
    let own = std::process::id();
    let lines = |path: &str| std::fs::read_to_string(path).unwrap().lines().count();
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    json!({
        "residentKiB": usage(own).unwrap().resident >> 10, "files": files, "maps": lines("/proc/self/maps"),
    })
}
