//! How long the parts of a call take, and what a call costs without a new instance.
//!
//! For: benches alone. The daemon never calls any of this: its calls go through `guest`. Never checks an answer.

use std::time::{Duration, Instant};

use trimtab_control::policy::Observation;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store};

use crate::admit::Admitted;
use crate::bindings::{ScalingPolicy, ScalingPolicyPre};
use crate::guest::CallData;
use crate::limits::Limits;
use crate::{Sandbox, convert};

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

/// The same module as somebody would run it who takes the engine as it comes: memory mapped for each instance, no limits.
pub struct Stock {
    engine: Engine,
    pre: ScalingPolicyPre<CallData>,
}

impl Stock {
    /// Compiles a component or core module for an engine with its own defaults.
    pub fn new(sandbox: &Sandbox, module: &[u8]) -> Result<Stock, String> {
        let wasm = sandbox.componentize(module).map_err(|refusal| refusal.to_string())?;
        let load = || {
            let engine = Engine::new(&Config::new())?;
            let mut linker = Linker::new(&engine);
            ScalingPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |data: &mut CallData| data)?;
            let pre = ScalingPolicyPre::new(linker.instantiate_pre(&Component::from_binary(&engine, &wasm)?)?)?;
            Ok(Stock { engine, pre })
        };
        load().map_err(|error: wasmtime::Error| error.to_string())
    }

    /// One decision in a fresh instance. The answer is thrown away.
    pub fn decide(&self, config: &str, observation: &Observation, state: &[u8]) -> Result<(), String> {
        let lowered = convert::observation(observation);
        let decide = || {
            let mut store = Store::new(&self.engine, CallData::new(&Limits::default()));
            let policy = self.pre.instantiate(&mut store)?;
            policy.trimtab_policy_policy().call_decide(&mut store, config, &lowered, state)
        };
        let decided = decide().map_err(|error| error.to_string())?;
        decided.map(drop).map_err(|error| error.message)
    }
}
