//! Seeded draws: uniform, exponential, log-normal.
//!
//! For: start-up phases, Poisson arrivals and request lengths. The generator and the elementary functions are portable
//! ones (xoshiro256++, libm), so that a seed means the same numbers on every machine. Never seeds itself.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A seeded stream of draws.
#[derive(Debug, Clone)]
pub struct Draw {
    rng: Xoshiro256PlusPlus,
}

impl Draw {
    /// The stream of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Draw {
        Draw { rng: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.rng.random::<f64>()
    }

    /// Exponential with the given rate (events per second): seconds to the next event. `rate` must be positive.
    pub fn exponential(&mut self, rate: f64) -> f64 {
        // 1 - u lies in (0, 1]: the logarithm is finite.
        -libm::log(1.0 - self.uniform()) / rate
    }

    /// Standard normal, by the Box-Muller transform (one of its pair; the other is not kept, draws stay independent of
    /// what was drawn before).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Log-normal with this median and sigma of the logarithm. Sigma 0 is the median itself.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers() {
        let (mut a, mut b, mut other) = (Draw::seeded(7), Draw::seeded(7), Draw::seeded(8));
        let first: Vec<f64> = (0..32).map(|_| a.log_normal(10.0, 0.25)).collect();
        assert_eq!(first, (0..32).map(|_| b.log_normal(10.0, 0.25)).collect::<Vec<_>>());
        assert_ne!(first, (0..32).map(|_| other.log_normal(10.0, 0.25)).collect::<Vec<_>>());
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let mut draw = Draw::seeded(1);
        let mean = (0..20_000).map(|_| draw.exponential(4.0)).sum::<f64>() / 20_000.0;
        assert!((mean - 0.25).abs() < 0.01, "{mean}");
        let mut logs: Vec<f64> = (0..20_001).map(|_| draw.log_normal(80.0, 0.25)).collect();
        logs.sort_by(f64::total_cmp);
        assert!((logs[10_000] - 80.0).abs() < 1.0, "{}", logs[10_000]);
        // One sigma above the median is the 84.13 % quantile.
        assert!((logs[16_827] / 80.0 - 1.284).abs() < 0.02, "{}", logs[16_827]);
    }
}
