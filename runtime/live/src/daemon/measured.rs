//! A module whose calls are counted, timed, and bounded by what its tenant may use at the time.

use std::sync::Arc;
use std::time::Instant;

use trimtab_control::policy::{Call, Observation, Policy};
use trimtab_sandbox::Admitted;

use super::view::Shared;
use crate::metrics::Metrics;

/// See the module.
pub(super) struct Measured {
    pub(super) admitted: Admitted,
    /// Knows the tenant's limits, which hold from the next call on.
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tenant: String,
    pub(super) policy: String,
}

impl Policy for Measured {
    fn decide(&self, config: &str, observation: &Observation, state: &[u8]) -> Call {
        let admitted = self.admitted.under(&self.shared.modules.limits(&self.tenant));
        let begun = Instant::now();
        let call = admitted.decide(config, observation, state);
        let outcome = call.answer.as_ref().map_or_else(|fault| fault.code.as_str(), |_| "ok");
        for bound in &call.bounds {
            self.metrics.policy_limit(&self.tenant, &self.policy, bound.as_str());
        }
        self.metrics.policy_call(&self.tenant, &self.policy, outcome, begun.elapsed());
        call
    }
}
