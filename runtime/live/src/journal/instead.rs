//! Other policies, or another manifest, in place of what was recorded.
//!
//! For: what another policy would have decided. A module is prepared for the configuration of the stage that it is put
//! behind, once. Never looks for a module by itself: it is given what there is.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trimtab_control::config::{Module, ModuleRef, WorkloadConfig};
use trimtab_sandbox::Admitted;

/// See the module.
#[derive(Default)]
pub struct Instead {
    /// By the name of the policy whose place they take.
    pub policies: BTreeMap<String, Admitted>,
    /// Another configuration of the workload.
    pub config: Option<WorkloadConfig>,
    /// What a manifest may name although the journal does not know it.
    pub also: BTreeMap<String, Admitted>,
    prepared: RefCell<BTreeMap<(String, String), Option<Module>>>,
    refused: RefCell<Vec<String>>,
    used: RefCell<BTreeSet<String>>,
    /// Policies that a manifest names and that were not found yet.
    unknown: RefCell<BTreeSet<String>>,
}

impl Instead {
    /// With these in place of policies of those names, and nothing else.
    pub fn of(policies: BTreeMap<String, Admitted>) -> Instead {
        Instead { policies, ..Instead::default() }
    }

    /// Whether anything is other than it was.
    pub fn is_any(&self) -> bool {
        self.config.is_some() || !self.policies.is_empty()
    }

    /// Why modules were not taken, each once.
    pub fn refused(&self) -> Vec<String> {
        let unknown = self.unknown.borrow();
        let unknown =
            unknown.iter().map(|name| format!("policy `{name}`: neither the journal nor this program has it"));
        self.refused.borrow().iter().cloned().chain(unknown).collect()
    }

    /// Whether any stage asked for a policy of that name, whose place another took.
    pub fn was_used(&self, policy: &str) -> bool {
        self.used.borrow().contains(policy)
    }

    /// The module for a reference; none: as it was recorded. `admitted` gives the one of a digest.
    pub(super) fn module(
        &self,
        reference: &ModuleRef,
        recorded: Option<&Module>,
        admitted: &dyn Fn(&str) -> Option<Admitted>,
    ) -> Option<Module> {
        if let Some(own) = self.policies.get(&reference.policy) {
            self.used.borrow_mut().insert(reference.policy.clone());
            return self.prepare(own, reference);
        }
        self.config.as_ref()?;
        // Another manifest may configure the module of that time anew.
        let found = recorded.and_then(|module| admitted(&module.digest));
        let found = found.or_else(|| self.also.get(&reference.policy).cloned());
        match found {
            Some(found) => {
                self.unknown.borrow_mut().remove(&reference.policy);
                self.prepare(&found, reference)
            }
            None => {
                // A journal that begins with its daemon comes to its modules later.
                self.unknown.borrow_mut().insert(reference.policy.clone());
                None
            }
        }
    }

    fn prepare(&self, admitted: &Admitted, reference: &ModuleRef) -> Option<Module> {
        let key = (admitted.digest().to_owned(), reference.config.clone());
        if let Some(known) = self.prepared.borrow().get(&key) {
            return known.clone();
        }
        let fits = serde_json::from_str(&reference.config).is_ok_and(|config| admitted.check_config(&config).is_ok());
        let module = match admitted.prepare(&reference.config) {
            Ok(preparation) if fits => Some(Module {
                policy: Arc::new(admitted.clone()),
                digest: admitted.digest().to_owned(),
                preparation,
                state_version: admitted.description().state_version,
            }),
            Ok(_) => {
                self.refuse(format!("policy `{}`: its configuration does not fit the schema", reference.policy));
                None
            }
            Err(refusal) => {
                self.refuse(format!("policy `{}`: {refusal}", reference.policy));
                None
            }
        };
        self.prepared.borrow_mut().insert(key, module.clone());
        module
    }

    fn refuse(&self, why: String) {
        let mut refused = self.refused.borrow_mut();
        if !refused.contains(&why) {
            refused.push(why);
        }
    }
}
