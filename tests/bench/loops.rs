//! How soon an endless loop ends after its time, and whether anybody else ever does.
//!
//! First: a guest that loops for ever, again and again; what is told is the thread's CPU time beyond its budget. Then: so
//! many thousand calls of the reference policy from eight threads on whatever cores there are, beside eight more that do
//! nothing but burn: not one may be stopped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;
use trimtab_control::policy::{Policy as _, Preparation};
use trimtab_sandbox::{Sandbox, SandboxConfig, synthetic_observation};
use trimtab_tests::figures::{note, quantile_ms, tell};
use trimtab_tests::place;

use crate::calls::{guest, observation};

const LOOPS: usize = 200;
const THREADS: usize = 8;

pub(crate) fn run(thousands: usize) {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let text = std::fs::read_to_string(place::root().join("tests/guests/hand.wat")).unwrap();
    let endless = text.replacen("(block $missing", "(loop $ever (br $ever))\n    (block $missing", 1);
    let endless = sandbox.admit(&wat::parse_str(endless).unwrap()).unwrap();
    let budget = sandbox.limits().call_cpu;
    let seen = synthetic_observation(&Preparation::default());
    let mut beyond = Vec::new();
    for _ in 0..LOOPS {
        let begun = Instant::now();
        let fault = endless.decide("{}", &seen, &[]).answer.unwrap_err();
        assert_eq!(fault.code, "timeout", "{fault:?}");
        beyond.push(begun.elapsed().saturating_sub(budget));
    }
    note("the loops have ended");
    let (p50, p99) = (quantile_ms(&beyond, 0.5), quantile_ms(&beyond, 0.99));

    let innocent = guest(&sandbox, "reference.wasm");
    let (observation, state) = (observation(), vec![0_u8; 256]);
    let (left, stopped, over) = (AtomicU64::new(thousands as u64), AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::black_box((0..1000_u32).fold(0_u32, |a, b| a.rotate_left(3) ^ b));
                }
            });
        }
        let callers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                        for _ in 0..1000 {
                            let answer = innocent.decide("{}", &observation, &state).answer;
                            stopped.fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
    tell(&json!({
        "measured": "loops", "loops": LOOPS, "budgetMs": budget.as_millis() as u64, "beyondP50Ms": p50, "beyondP99Ms": p99,
        "innocentCalls": thousands * 1000, "threads": THREADS, "burning": THREADS,
        "innocentStopped": stopped.into_inner(), "seconds": begun.elapsed().as_secs(),
    }));
}
