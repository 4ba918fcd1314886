//! What a policy says: needs, decisions, refusals, written in one expression each.
//!
//! For: policies that read well. Never decides anything.

use crate::{Decision, Issue, Need, Refusal, Target};

impl Need {
    /// The newest value of a signal, one per pool, that the policy can do without.
    #[must_use]
    pub fn optional(signal: &str) -> Need {
        Need { signal: signal.into(), by: vec!["pool".into()], ..Need::default() }
    }

    /// The newest value of a signal, one per pool, without which the policy cannot answer.
    #[must_use]
    pub fn required(signal: &str) -> Need {
        Need { required: true, ..Need::optional(signal) }
    }

    /// Keeps these labels apart instead of `pool`; none: one series for the workload.
    #[must_use]
    pub fn by(mut self, labels: &[&str]) -> Need {
        self.by = labels.iter().map(|l| (*l).to_owned()).collect();
        self
    }

    /// How the samples of one replica become one value: `last`, `mean`, `max` or `rate` instead of the signal's default.
    #[must_use]
    pub fn within(mut self, within: &str) -> Need {
        within.clone_into(&mut self.within);
        self
    }

    /// So far back, one value every `step` (both milliseconds; a step of 0 is the host's choice).
    #[must_use]
    pub fn history(mut self, window: u64, step: u64) -> Need {
        (self.window, self.step) = (window, step);
        self
    }
}

impl Decision {
    /// A decision that so far keeps every proposal, and its reason: one line for a person.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Decision {
        Decision { reason: reason.into(), ..Decision::default() }
    }

    /// So many serving replicas in that pool.
    #[must_use]
    pub fn serving(self, pool: &str, replicas: u32) -> Decision {
        self.tier(pool, "serving", replicas)
    }

    /// So many standby replicas in that pool.
    #[must_use]
    pub fn standby(self, pool: &str, replicas: u32) -> Decision {
        self.tier(pool, "standby", replicas)
    }

    /// So many replicas in that pool and tier.
    #[must_use]
    pub fn tier(mut self, pool: &str, tier: &str, replicas: u32) -> Decision {
        self.targets.push(Target { pool: pool.into(), tier: tier.into(), replicas });
        self
    }

    /// One number behind the reason.
    pub fn note(&mut self, name: impl Into<String>, value: impl std::fmt::Display) {
        self.notes.push((name.into(), value.to_string()));
    }
}

impl Refusal {
    /// The policy cannot answer without that signal.
    #[must_use]
    pub fn missing_metric(signal: &str) -> Refusal {
        Refusal { code: "missing-metric".into(), message: format!("no fresh value of {signal}"), issues: Vec::new() }
    }

    /// One thing is wrong with the configuration; `path` is a JSON pointer such as `/target`.
    #[must_use]
    pub fn bad_config(path: impl Into<String>, message: impl Into<String>) -> Refusal {
        let message = message.into();
        let issues = vec![Issue { path: path.into(), message: message.clone() }];
        Refusal { code: "bad-config".into(), message, issues }
    }

    /// Anything else.
    #[must_use]
    pub fn other(message: impl Into<String>) -> Refusal {
        Refusal { code: "other".into(), message: message.into(), issues: Vec::new() }
    }
}

/// A computed demand as whole replicas: rounded up, with room for the last bits of floating-point error; 0 for
/// anything that is not a positive number.
#[must_use]
pub fn replicas(demand: f64) -> u32 {
    if demand.is_nan() { 0 } else { (demand - 1e-9).ceil().max(0.0) as u32 }
}
