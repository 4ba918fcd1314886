//! What is measured by hand: `bench/README.md` says how.
//!
//! For: durations, which tests do not assert. Progress on standard error, one line of JSON for each measurement on
//! standard output. Starts the same daemon that the tests start.

#![allow(clippy::unwrap_used)] // a measurement that cannot be made has failed, and says where

mod hostile;
mod idle;
mod kills;
mod latency;
mod replay;
mod swaps;

use std::process::ExitCode;

use trimtab_tests::figures::note;

/// Name, how often (or how many seconds) unless a number follows it, and what it is.
type Measurement = (&'static str, usize, fn(usize));

const MEASUREMENTS: [Measurement; 6] = [
    ("latency", 200, latency::run),
    ("swaps", 100, swaps::run),
    ("kills", 50, kills::run),
    ("idle", 120, idle::run),
    ("hostile", 60, hostile::run),
    ("replay", 100, replay::run),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let found = words.first().and_then(|word| MEASUREMENTS.iter().find(|(name, ..)| name == word));
    let count = words.get(1).map_or_else(|| found.map(|(_, usual, _)| *usual), |word| word.parse().ok());
    let (Some((.., run)), Some(count)) = (found, count) else {
        note("usage: measure latency|swaps|kills|idle|hostile|replay [COUNT]");
        return ExitCode::from(2);
    };
    run(count);
    ExitCode::SUCCESS
}
