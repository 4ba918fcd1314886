//! How long the parts of a call take, and what a call costs without a new instance.
//!
//! For: benches alone. The daemon never calls any of this: its calls go through `guest`. Never checks an answer.

use std::time::{Duration, Instant};

use trimtab_control::policy::Observation;
use wasmtime::Store;

use crate::admit::Admitted;
use crate::bindings::ScalingPolicy;
use crate::convert;
use crate::guest::CallData;

/// Where the time of one decision goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// Making what is lowered from the observation.
    pub convert: Duration,
    /// A store with its limits.
    pub store: Duration,
    /// The instance.
    pub instantiate: Duration,
    /// Lowering, running and lifting.
    pub call: Duration,
    /// Making the slot new again.
    pub drop: Duration,
}

/// One instance that answers again and again.
pub struct Reused {
    store: Store<CallData>,
    policy: ScalingPolicy,
}

impl Admitted {
    /// One decision, timed in parts. The answer is thrown away.
    pub fn phases(&self, config: &str, observation: &Observation, state: &[u8]) -> Result<Phases, String> {
        let mut phases = Phases::default();
        let mut last = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            now - std::mem::replace(&mut last, now)
        };
        let lowered = convert::observation(observation);
        phases.convert = lap();
        let mut store = self.guest().store(self.limits());
        phases.store = lap();
        let policy = self.guest().pre.instantiate(&mut store).map_err(|error| error.to_string())?;
        phases.instantiate = lap();
        let decided = policy.trimtab_policy_policy().call_decide(&mut store, config, &lowered, state);
        phases.call = lap();
        drop(store);
        phases.drop = lap();
        decided.map_err(|error| error.to_string())?.map_err(|error| error.message)?;
        Ok(phases)
    }

    /// An instance for several decisions.
    pub fn reused(&self) -> Result<Reused, String> {
        let mut store = self.guest().store(self.limits());
        let policy = self.guest().pre.instantiate(&mut store).map_err(|error| error.to_string())?;
        Ok(Reused { store, policy })
    }
}

impl Reused {
    /// One more decision. The answer is thrown away.
    pub fn decide(&mut self, config: &str, observation: &Observation, state: &[u8]) -> Result<(), String> {
        let lowered = convert::observation(observation);
        let decided = self.policy.trimtab_policy_policy().call_decide(&mut self.store, config, &lowered, state);
        decided.map_err(|error| error.to_string())?.map(drop).map_err(|error| error.message)
    }
}
