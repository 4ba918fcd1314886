//! The hostile corpus (docs/hostile.md): everything that somebody would drop into a policies directory to do harm.
//!
//! For: each case contained with the stage and code that it expects, with every allocator, and a neighbour that does not
//! notice. A new case is a file below `tests/hostile`; it needs nothing here. Never lets a case hang a test.

mod case;
mod controls;
mod files;
mod page;
mod play;

use std::time::{Duration, Instant};

use trimtab_sandbox::Allocator;
use trimtab_tests::storm::{self, Storm};

/// The corpus has at least so many modules.
const AT_LEAST: usize = 60;
/// One case, all of it: a bomb that is only slow is still a bomb.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_module_is_contained_with_both_allocators_and_a_good_one_still_answers() {
    let only = std::env::var("TRIMTAB_CASE").ok();
    let cases: Vec<_> = case::all().into_iter().filter(|c| only.as_ref().is_none_or(|only| c.name == *only)).collect();
    assert!(only.is_some() || cases.len() >= AT_LEAST, "only {} cases", cases.len());
    let shared = [Allocator::Pooling, Allocator::OnDemand].map(|a| (a, play::sandbox(play::patient(), a)));
    let mut wrong = Vec::new();
    for case in &cases {
        let wasm = match case.wasm() {
            Ok(wasm) => wasm,
            Err(problem) => {
                wrong.push(format!("{}: {problem}", case.name));
                continue;
            }
        };
        for (allocator, shared) in &shared {
            let own = case.has_limits().then(|| play::sandbox(case.limits(play::patient()), *allocator));
            let sandbox = own.as_ref().unwrap_or(shared);
            let begun = Instant::now();
            let result = play::contained(case, &wasm, sandbox).and_then(|()| play::good_still_answers(sandbox));
            let took = begun.elapsed();
            if only.is_some() || took > Duration::from_secs(1) {
                trimtab_tests::figures::note(&format!("{}: {took:.1?}", case.name));
            }
            let result = result.and_then(|()| if took > PATIENCE { Err(format!("it took {took:?}")) } else { Ok(()) });
            if let Err(problem) = result {
                wrong.push(format!("{} ({allocator:?}): {problem}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn an_innocent_workload_does_not_notice_that_the_whole_corpus_was_dropped() {
    // Two seconds: a machine that is busy with other tests may be late, the corpus must not make it so.
    let seen: Storm = storm::run("2s", Duration::from_secs(10), Duration::from_secs(30));
    assert_eq!(seen.missed, 0.0, "{seen:#?}");
    assert!(seen.storm.ticks >= 10.0 && seen.hostile_calls >= 10.0, "{seen:#?}");
    assert_eq!(seen.wanted.iter().copied().collect::<Vec<_>>(), [storm::REPLICAS], "{seen:#?}");
    assert!(seen.actions == 0.0 && seen.faults.is_empty(), "{seen:#?}");
    // How little it notices is measured (`bench/README.md`); that it is not much is asserted.
    assert!(seen.storm.cpu < seen.calm.cpu * 2 + Duration::from_millis(2), "{seen:#?}");
}
