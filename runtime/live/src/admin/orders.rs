//! Orders as they arrive: a body of JSON, made into a command.
//!
//! For: refusing what cannot be meant, with the fix, before the workload is asked. Never executes anything.

use std::collections::BTreeMap;

use serde::Deserialize;
use trimtab_control::time::Span;
use trimtab_sandbox::clean;

use super::problem::ProblemDocument;
use crate::daemon::Command;

/// An order stands for so long where it does not say.
const LASTING: f64 = 1800.0;
/// The longest an order may stand: 7 days.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;
/// Bytes of a reason.
const REASON_BYTES: usize = 512;

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Wake,
    Pause,
    Resume,
    Override,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    for_seconds: Option<f64>,
    reason: String,
    pools: Option<BTreeMap<String, u32>>,
}

/// A command, and a remark for whoever gave the order.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    pub(super) command: Command,
    /// Appended to the answer; empty: nothing to remark.
    pub(super) remark: &'static str,
}

impl Verb {
    /// The command of a body. An empty one is all defaults.
    pub(super) fn read(self, body: &[u8]) -> Result<Order, ProblemDocument> {
        let written = read_body(body.trim_ascii())?;
        let lasting = lasting(written.for_seconds)?;
        let reason = match written.reason.trim() {
            "" => "no reason given".to_owned(),
            reason => clean(reason, REASON_BYTES),
        };
        if self != Verb::Override && written.pools.is_some() {
            return Err(ProblemDocument::bad_request("pools belongs to an override; leave it out"));
        }
        let timed = written.for_seconds.is_some();
        Ok(match self {
            Verb::Pause => Order { command: Command::Pause { lasting, reason }, remark: "" },
            Verb::Override => {
                let pools = written.pools.unwrap_or_default();
                Order { command: Command::Override { pools, lasting, reason }, remark: "" }
            }
            Verb::Wake => Order {
                command: Command::Wake { reason },
                remark: if timed { " (forSeconds is not used: the manifest's `hold` says for how long)" } else { "" },
            },
            Verb::Resume => Order {
                command: Command::Resume { reason },
                remark: if timed { " (forSeconds is not used)" } else { "" },
            },
        })
    }
}

fn read_body(body: &[u8]) -> Result<Body, ProblemDocument> {
    let wrong = |why: String| {
        ProblemDocument::bad_request(format!(
            "the body is not an order: {why}; write {{\"forSeconds\": 1800, \"reason\": \"…\", \"pools\": {{\"POOL\": 3}}}}, each optional, pools for an override alone"
        ))
    };
    match body.first() {
        None => Ok(Body::default()),
        // A list would be read as the fields in their order.
        Some(b'{') => serde_json::from_slice(body).map_err(|error| wrong(error.to_string())),
        Some(_) => Err(wrong("it is no object".to_owned())),
    }
}

fn lasting(seconds: Option<f64>) -> Result<Span, ProblemDocument> {
    let seconds = seconds.unwrap_or(LASTING);
    let millis = Span((seconds * 1000.0).round() as u64);
    if seconds > LONGEST || millis.0 == 0 {
        return Err(ProblemDocument::bad_request(format!(
            "forSeconds is more than 0 and at most {LONGEST} (7 days), not {seconds}"
        )));
    }
    Ok(millis)
}
