//! What each tenant may use.
//!
//! For: the limits of a namespace's modules and calls, as the platform's documents say. Never knows a workload.

use std::collections::BTreeMap;
use std::sync::Arc;

use trimtab_sandbox::Limits;

/// The limits of every tenant, at one instant. Those of whom nothing is said have the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tenants {
    others: Arc<Limits>,
    named: BTreeMap<String, Arc<Limits>>,
}

impl Tenants {
    /// With what is said of some.
    pub fn new(named: BTreeMap<String, Arc<Limits>>) -> Tenants {
        Tenants { others: Arc::default(), named }
    }

    /// Of one tenant; none: of modules that serve all.
    pub fn limits(&self, tenant: Option<&str>) -> &Arc<Limits> {
        tenant.and_then(|tenant| self.named.get(tenant)).unwrap_or(&self.others)
    }
}
