//! Admission: the stages a module passes before it may be called, and what it is afterwards.
//!
//! For: `Admitted`, the only thing that can be called. Compiling happens once, calls are cheap. Never decides which
//! version of a module serves: whoever holds the values does.

use std::fmt;
use std::sync::Arc;

use trimtab_control::policy::{Answer, Call, Fault, Limit, Observation, Policy, Preparation};
use wasmtime::component::Component;

use crate::bindings::ScalingPolicyPre;
use crate::description::Description;
use crate::engine::Host;
use crate::guest::{Called, Guest};
use crate::inspect::{Inspection, inspect};
use crate::limits::Limits;
use crate::refusal::{ConfigIssue, Refusal, Stage};
use crate::schema::ConfigSchema;
use crate::text::clean;
use crate::{answer, compile, convert, needs};

/// More instances, memories, tables or handles than a policy may have.
pub(crate) const TOO_COMPLEX: &str = "too-complex";
/// The host gathered more than the contract promises: not the guest's fault.
const OBSERVATION_TOO_LARGE: &str = "observation-too-large";
/// What a call that failed during admission may be called; anything else is `other`.
const CODES: [&str; 14] = [
    "trap",
    "stack",
    "timeout",
    "memory",
    TOO_COMPLEX,
    "bad-answer",
    "answer-too-large",
    "state-too-large",
    "bad-config",
    "missing-metric",
    "bad-state",
    "host",
    OBSERVATION_TOO_LARGE,
    "other",
];

/// A module that was inspected, compiled, linked and described, and the limits of its calls. Cheap to clone.
#[derive(Clone)]
pub struct Admitted {
    module: Arc<Module>,
    limits: Arc<Limits>,
}

struct Module {
    guest: Guest,
    bytes: Arc<[u8]>,
    inspection: Inspection,
    description: Description,
    schema: Option<ConfigSchema>,
}

/// All stages that depend on the bytes alone. `compiles`: else only what was compiled before is admitted, or refused.
pub(crate) fn admit(
    host: &Arc<Host>,
    bytes: &[u8],
    limits: &Arc<Limits>,
    compiles: bool,
) -> Option<Result<Admitted, Refusal>> {
    let (inspection, typed) = match inspect(bytes, limits) {
        Ok(inspected) => inspected,
        Err(refusal) => return Some(Err(refusal)),
    };
    let component = match compile::known(host, &inspection.digest, limits) {
        Some(known) => known,
        None if compiles => compile::compile(host, bytes, &inspection, typed, limits),
        None => return None,
    };
    Some(component.and_then(|component| describe(host, &component, bytes, inspection, limits)))
}

/// Links a component, and asks it what it is.
fn describe(
    host: &Arc<Host>,
    component: &Component,
    bytes: &[u8],
    inspection: Inspection,
    limits: &Arc<Limits>,
) -> Result<Admitted, Refusal> {
    let pre = host.linker(component).instantiate_pre(component).and_then(ScalingPolicyPre::new).map_err(|error| {
        Refusal::new(Stage::Link, "not-a-policy", clean(&format!("{error:#}"), limits.text_bytes))
            .hint("its exports do not fit trimtab:policy@0.1.0: build it against the wit/ of this version")
    })?;
    let guest = Guest { host: Arc::clone(host), pre };
    let described = guest.call("describe", limits, |policy, store| policy.trimtab_policy_policy().call_describe(store));
    // A pool refuses it when it is compiled, the limiter when it is first made: both are one refusal.
    let stage = |fault: &Fault| if fault.code == TOO_COMPLEX { Stage::Compile } else { Stage::Describe };
    let described = described.result.map_err(|fault| refused(stage(&fault), &fault))?;
    let description = Description::check(described, limits)?;
    let schema = ConfigSchema::parse(&description.config_schema, limits)?;
    let module = Arc::new(Module { guest, bytes: bytes.into(), inspection, description, schema });
    Ok(Admitted { module, limits: Arc::clone(limits) })
}

impl Admitted {
    /// The same module, its calls bounded by these limits.
    #[must_use]
    pub fn under(&self, limits: &Arc<Limits>) -> Admitted {
        Admitted { module: Arc::clone(&self.module), limits: Arc::clone(limits) }
    }

    /// `sha256:HEX` of the file as dropped.
    pub fn digest(&self) -> &str {
        &self.module.inspection.digest
    }

    /// The file as dropped.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.module.bytes
    }

    /// What the module says of itself.
    pub fn description(&self) -> &Description {
        &self.module.description
    }

    /// Its form, world, imports and exports.
    pub fn inspection(&self) -> &Inspection {
        &self.module.inspection
    }

    /// Checks a configuration against the policy's schema. The guest's own check is `prepare`.
    pub fn check_config(&self, config: &serde_json::Value) -> Result<(), Vec<ConfigIssue>> {
        self.module.schema.as_ref().map_or(Ok(()), |schema| schema.check(config))
    }

    /// The guest's own check of a configuration (JSON text), and the inputs it leads to, within the contract's caps.
    pub fn prepare(&self, config: &str) -> Result<Preparation, Refusal> {
        let limits = &*self.limits;
        let called = self
            .module
            .guest
            .call("prepare", limits, |policy, store| policy.trimtab_policy_policy().call_prepare(store, config));
        match called.result.map_err(|fault| refused(Stage::Prepare, &fault))? {
            Ok(preparation) => needs::check(preparation, limits),
            Err(error) => {
                let (code, message) = answer::refusal(&error, limits, &mut Vec::new());
                let mut refusal = refused(Stage::Prepare, &Fault { code, message });
                let issues = error.issues.iter().take(limits.notes);
                refusal.issues = issues
                    .map(|i| ConfigIssue {
                        path: clean(&i.path, limits.note_bytes),
                        message: clean(&i.message, limits.text_bytes),
                    })
                    .collect();
                Err(refusal)
            }
        }
    }

    /// A trial decision, whose answer is thrown away. A policy that misses a metric passes: it works, and says so.
    pub fn probe(&self, config: &str, observation: &Observation, state: &[u8]) -> Result<(), Refusal> {
        match self.decide(config, observation, state).answer {
            Ok(_) => Ok(()),
            Err(fault) if fault.code == "missing-metric" => Ok(()),
            Err(fault) => Err(refused(Stage::Probe, &fault)),
        }
    }

    pub(crate) fn guest(&self) -> &Guest {
        &self.module.guest
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn answer(&self, config: &str, observation: &Observation, state: &[u8]) -> Called<Answer> {
        let limits = &*self.limits;
        let values: usize = observation.series.iter().map(|s| s.values.len()).sum();
        if observation.series.len() > limits.series || values > limits.values {
            let message =
                format!("an observation of {} series, {values} values is too large", observation.series.len());
            let fault = Fault { code: OBSERVATION_TOO_LARGE.into(), message };
            return Called { result: Err(fault), log: Vec::new(), bounds: vec![Limit::Observation] };
        }
        let lowered = convert::observation(observation);
        let Called { result, log, mut bounds } = self.module.guest.call("decide", limits, |policy, store| {
            policy.trimtab_policy_policy().call_decide(store, config, &lowered, state)
        });
        let result = result.and_then(|decided| match decided {
            Ok(decision) => answer::check(decision, observation, limits, &mut bounds),
            Err(error) => {
                let (code, message) = answer::refusal(&error, limits, &mut bounds);
                Err(Fault { code, message })
            }
        });
        Called { result, log, bounds }
    }
}

impl Policy for Admitted {
    fn decide(&self, config: &str, observation: &Observation, state: &[u8]) -> Call {
        let Called { result, log, bounds } = self.answer(config, observation, state);
        Call { answer: result, log, bounds }
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// A fault of a call during admission.
fn refused(stage: Stage, fault: &Fault) -> Refusal {
    let code = CODES.into_iter().find(|code| *code == fault.code).unwrap_or("other");
    Refusal::new(stage, code, fault.message.clone())
}
