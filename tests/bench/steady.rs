//! Fresh calls of the reference policy and nothing else, between two marks that a tracer sees.
//!
//! For: counting what the kernel is asked for. A mark is a question for the parent's number, which nothing else asks. Also
//! tells the page faults of the thread between the marks.

use serde_json::json;
use trimtab_control::policy::Policy as _;
use trimtab_sandbox::{Sandbox, SandboxConfig};
use trimtab_tests::figures::tell;

use crate::calls::{guest, observation};

/// Calls that fill caches and pools first.
const WARM: usize = 500;

pub(crate) fn run(calls: usize) {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let admitted = guest(&sandbox, "reference.wasm");
    let (observation, state) = (observation(), vec![0_u8; 256]);
    let call = || drop(std::hint::black_box(admitted.decide("{}", &observation, &state).answer.unwrap()));
    (0..WARM).for_each(|_| call());
    // Reading the count has faults of its own.
    faults();
    let own = faults().abs_diff(faults());
    let before = faults();
    let _ = rustix::process::getppid();
    (0..calls).for_each(|_| call());
    let _ = rustix::process::getppid();
    let faults = (faults() - before).saturating_sub(own);
    tell(&json!({"measured": "steady", "calls": calls, "faults": faults}));
}

/// Page faults of this thread so far.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[7].parse::<u64>().unwrap() + fields[9].parse::<u64>().unwrap()
}
