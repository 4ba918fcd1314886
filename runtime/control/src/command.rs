//! What people in charge may tell a workload: pause, override, resume, wake. Always with an expiry.
//!
//! For: values that the admin port hands to the controller. Never executed here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::{Span, Time};

/// An order of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Command {
    /// Nothing changes until it ends.
    Pause {
        /// How long.
        lasting: Span,
        /// Why.
        reason: String,
    },
    /// These serving numbers replace the proposal until it ends.
    Override {
        /// Pool name to serving replicas.
        pools: BTreeMap<String, u32>,
        /// How long.
        lasting: Span,
        /// Why.
        reason: String,
    },
    /// Ends pause and override.
    Resume {
        /// Why.
        reason: String,
    },
    /// Raises the floor of every pool with a grant for zero to its `wake_replicas`, for its `hold`.
    Wake {
        /// Why.
        reason: String,
    },
}

/// A pause or override in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// When it began.
    pub since: Time,
    /// When it ends by itself.
    pub until: Time,
    /// Why.
    pub reason: String,
    /// For an override: pool name to serving replicas. Empty for a pause.
    pub pools: BTreeMap<String, u32>,
}
