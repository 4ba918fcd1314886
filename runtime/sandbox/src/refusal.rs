//! Why a module, or a configuration for it, was not accepted.
//!
//! For: one value that a status, an event line, a metric and `policy check` can all show. Never formatted with guest
//! text that was not cleaned first.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::clean;

/// Where admission stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// The codes with which the compiler refuses a module. One it does not know counts as the first.
const CODES: [&str; 12] = [
    "invalid",
    "incomplete",
    "not-wasm",
    "too-large",
    "foreign-import",
    "not-a-policy",
    "too-complex",
    "compile-cpu",
    "compile-memory",
    "compile-size",
    "compile-crash",
    "host",
];

impl Refusal {
    /// Reads what was written as JSON, by a process that may have been led astray. None: it is no refusal.
    pub(crate) fn read(json: &[u8], max_text: usize) -> Option<Refusal> {
        #[derive(Deserialize)]
        struct Written {
            stage: Stage,
            code: String,
            message: String,
            hint: String,
        }
        let Written { stage, code, message, hint } = serde_json::from_slice(json).ok()?;
        let code = CODES.into_iter().find(|known| *known == code).unwrap_or(CODES[0]);
        Some(Refusal::new(stage, code, clean(&message, max_text)).hint(clean(&hint, max_text)))
    }
}
