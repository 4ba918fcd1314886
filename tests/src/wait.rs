//! Patience: looking again until something holds, or for as long as it must hold.
//!
//! For: tests that assert an order of events and never a duration. A time-out is generous and ends a test that would
//! otherwise hang; it says what was seen last.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// For things that take a moment, on a machine that is busy with something else.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Looks until there is an answer; panics after `patience` with what was wrong last.
#[track_caller]
pub fn within<T, E: Display>(patience: Duration, what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + patience;
    loop {
        match look() {
            Ok(answer) => return answer,
            Err(wrong) if Instant::now() >= end => panic!("{what}: not within {patience:?}; last: {wrong}"),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// [`within`] the usual patience.
#[track_caller]
pub fn eventually<T, E: Display>(what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    within(PATIENCE, what, look)
}

/// Looks all the time for so long; panics at the first look that finds something wrong.
#[track_caller]
pub fn always<E: Display>(lasting: Duration, what: &str, mut look: impl FnMut() -> Result<(), E>) {
    let end = Instant::now() + lasting;
    while Instant::now() < end {
        if let Err(wrong) = look() {
            panic!("{what}: {wrong}");
        }
        std::thread::sleep(PAUSE);
    }
}

/// `Ok` when it holds, else what is there instead: for the closures of this module.
pub fn holds(holds: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen()) }
}
