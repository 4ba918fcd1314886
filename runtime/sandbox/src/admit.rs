//! Admission: the stages a module passes before it may be called, and what it is afterwards.
//!
//! For: `Admitted`, the only thing that can be called. Compiling happens once, calls are cheap. Never decides which
//! version of a module serves: whoever holds the values does.

use std::fmt;
use std::sync::Arc;

use trimtab_control::policy::{Answer, Call, Fault, LogLine, Observation, Policy, Preparation};
use wasmtime::component::Component;

use crate::bindings::ScalingPolicyPre;
use crate::description::Description;
use crate::engine::Host;
use crate::guest::Guest;
use crate::inspect::{Inspection, inspect};
use crate::limits::Limits;
use crate::refusal::{ConfigIssue, Refusal, Stage};
use crate::schema::ConfigSchema;
use crate::text::clean;
use crate::{answer, compile, convert, needs};

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
    let pre = host.linker.instantiate_pre(component).and_then(ScalingPolicyPre::new).map_err(|error| {
        Refusal::new(Stage::Link, "not-a-policy", clean(&format!("{error:#}"), limits.text_bytes))
            .hint("its exports do not fit trimtab:policy@0.1.0: build it against the wit/ of this version")
    })?;
    let guest = Guest { host: Arc::clone(host), pre };
    let (described, _) =
        guest.call("describe", limits, |policy, store| policy.trimtab_policy_policy().call_describe(store));
    let described = described.map_err(|fault| refused(Stage::Describe, &fault))?;
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
        let (result, _) = self
            .module
            .guest
            .call("prepare", limits, |policy, store| policy.trimtab_policy_policy().call_prepare(store, config));
        match result.map_err(|fault| refused(Stage::Prepare, &fault))? {
            Ok(preparation) => needs::check(preparation, limits),
            Err(error) => {
                let (code, message) = answer::refusal(&error, limits);
                let mut refusal = Refusal::new(Stage::Prepare, code, message);
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

    fn answer(&self, config: &str, observation: &Observation, state: &[u8]) -> (Result<Answer, Fault>, Vec<LogLine>) {
        let limits = &*self.limits;
        let values: usize = observation.series.iter().map(|s| s.values.len()).sum();
        if observation.series.len() > limits.series || values > limits.values {
            let message =
                format!("an observation of {} series, {values} values is too large", observation.series.len());
            return (Err(Fault { code: "host".into(), message }), Vec::new());
        }
        let lowered = convert::observation(observation);
        let (result, log) = self.module.guest.call("decide", limits, |policy, store| {
            policy.trimtab_policy_policy().call_decide(store, config, &lowered, state)
        });
        let answer = result.and_then(|decided| match decided {
            Ok(decision) => answer::check(decision, observation, limits),
            Err(error) => {
                let (code, message) = answer::refusal(&error, limits);
                Err(Fault { code: code.into(), message })
            }
        });
        (answer, log)
    }
}

impl Policy for Admitted {
    fn decide(&self, config: &str, observation: &Observation, state: &[u8]) -> Call {
        let (answer, log) = self.answer(config, observation, state);
        Call { answer, log }
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// A fault of a call during admission.
fn refused(stage: Stage, fault: &Fault) -> Refusal {
    let codes = ["trap", "timeout", "memory", "bad-answer", "state-too-large", "bad-config", "bad-state", "host"];
    let code = codes.into_iter().find(|code| *code == fault.code).unwrap_or("other");
    Refusal::new(stage, code, fault.message.clone())
}
