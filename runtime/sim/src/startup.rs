//! How long a replica takes to become ready.
//!
//! For: start-up as a sum of phases, each drawn log-normal around its measured median; or one fixed figure.
//! Never models what happens in a phase.

use std::time::Duration;

use crate::draw::Draw;

/// Sigma of the logarithm of each phase.
pub const PHASE_SIGMA: f64 = 0.25;

/// A way to start, as its phases: name and median seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StartupPreset {
    /// As users write it.
    pub name: &'static str,
    /// In order; the medians sum to the preset's figure.
    pub phases: &'static [(&'static str, f64)],
}

/// The presets, fastest first. Phases follow published start-up logs of an 8B model; `init` is rounded so that the
/// medians sum to 10, 80, 300 and 480 s.
pub const PRESETS: [StartupPreset; 4] = [
    StartupPreset { name: "snapshot", phases: &[("restore", 10.0)] },
    StartupPreset {
        name: "warm-node",
        phases: &[("weights", 18.0), ("transform", 10.0), ("compile", 13.0), ("graphs", 7.0), ("init", 32.0)],
    },
    StartupPreset {
        name: "cold-pod",
        phases: &[
            ("download", 61.0),
            ("weights", 33.0),
            ("transform", 10.0),
            ("compile", 42.0),
            ("graphs", 54.0),
            ("init", 100.0),
        ],
    },
    StartupPreset {
        name: "new-node",
        phases: &[
            ("node", 60.0),
            ("image", 120.0),
            ("download", 61.0),
            ("weights", 33.0),
            ("transform", 10.0),
            ("compile", 42.0),
            ("graphs", 54.0),
            ("init", 100.0),
        ],
    },
];

/// How the start-up delay of a replica is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Startup {
    /// Exactly this long.
    Fixed(Duration),
    /// The sum of the preset's phases, each drawn from the replica's seed.
    Drawn(StartupPreset),
}

impl Startup {
    /// The preset of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Startup> {
        PRESETS.iter().find(|preset| preset.name == name).copied().map(Startup::Drawn)
    }

    /// The delay of the replica with this seed.
    #[must_use]
    pub fn delay(&self, seed: u64) -> Duration {
        match self {
            Startup::Fixed(delay) => *delay,
            Startup::Drawn(preset) => {
                let mut draw = Draw::seeded(seed);
                let seconds: f64 = preset.phases.iter().map(|(_, median)| draw.log_normal(*median, PHASE_SIGMA)).sum();
                Duration::from_micros((seconds * 1e6) as u64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_sum_to_their_figures() {
        let sums: Vec<f64> = PRESETS.iter().map(|preset| preset.phases.iter().map(|(_, s)| s).sum()).collect();
        assert_eq!(sums, [10.0, 80.0, 300.0, 480.0]);
    }

    #[test]
    fn draws_scatter_around_the_median_and_repeat() {
        let cold = Startup::named("cold-pod").expect("a preset");
        let mut delays: Vec<f64> = (0..1001).map(|seed| cold.delay(seed).as_secs_f64()).collect();
        delays.sort_by(f64::total_cmp);
        assert!((290.0..330.0).contains(&delays[500]), "{}", delays[500]);
        assert!(delays[0] > 150.0 && delays[1000] < 700.0, "{} {}", delays[0], delays[1000]);
        assert_eq!(cold.delay(3), cold.delay(3));
        assert_eq!(Startup::Fixed(Duration::from_secs(5)).delay(9), Duration::from_secs(5));
        assert_eq!(Startup::named("warm"), None);
    }
}
