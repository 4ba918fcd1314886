//! Numbers that a measurement is summed up in.
//!
//! For: the programs below `bench/`. Nearest-rank quantiles of all values; never a mean of means.

use std::time::Duration;

/// The nearest-rank quantile in milliseconds, to a tenth; none without values.
pub fn quantile_ms(values: &[Duration], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let value = sorted.get(rank.clamp(1, sorted.len().max(1)) - 1)?;
    Some((value.as_secs_f64() * 10_000.0).round() / 10.0)
}

/// Instants that repeat from run to run and follow no clock: a small linear congruential generator.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Same seed, same numbers.
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Between 0 and `most`.
    pub fn duration(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        most.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// One line of JSON on standard output.
#[allow(clippy::print_stdout)] // what the programs below bench/ are for
pub fn tell(figures: &serde_json::Value) {
    println!("{figures}");
}

/// A word about what happens, on standard error.
#[allow(clippy::print_stderr)]
pub fn note(text: &str) {
    eprintln!("{text}");
}
