//! Why a module, or a configuration for it, was not accepted.
//!
//! For: one value that a status, an event line, a metric and `policy check` can all show. Never formatted with guest
//! text that was not cleaned first.

use std::fmt;

use serde::Serialize;

/// Where admission stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The file could not be read whole.
    Read,
    /// The bytes are no module or component.
    Inspect,
    /// It imports something that is not in the contract.
    Imports,
    /// It does not validate or compile.
    Compile,
    /// Its exports do not fit the contract.
    Link,
    /// `describe` failed, or what it says is not usable.
    Describe,
    /// The configuration does not fit the policy's schema.
    Config,
    /// `prepare` refused the configuration, or asked for too much.
    Prepare,
    /// A trial `decide` failed.
    Probe,
    /// It failed too often while it served, before it was confirmed by enough good decisions.
    Serve,
}

impl Stage {
    /// The stage's name in messages, events and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Inspect => "inspect",
            Stage::Imports => "imports",
            Stage::Compile => "compile",
            Stage::Link => "link",
            Stage::Describe => "describe",
            Stage::Config => "config",
            Stage::Prepare => "prepare",
            Stage::Probe => "probe",
            Stage::Serve => "serve",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigIssue {
    /// JSON pointer into the configuration; empty: the whole.
    pub path: String,
    /// What is wrong, and the fix where one is known.
    pub message: String,
}

/// Why something was not accepted: where, a stable code, what, and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{stage}: {message}{}{hint}", if hint.is_empty() { "" } else { "; " })]
pub struct Refusal {
    /// Where it stopped.
    pub stage: Stage,
    /// Stable text, such as `incomplete`, `foreign-import` or `trap`; safe as a metric label.
    pub code: &'static str,
    /// What is wrong, on one line.
    pub message: String,
    /// The fix; empty where none is known.
    pub hint: String,
    /// For a configuration: each thing that is wrong.
    pub issues: Vec<ConfigIssue>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(stage: Stage, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { stage, code, message: message.into(), hint: String::new(), issues: Vec::new() }
    }

    /// The same with the fix.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}
