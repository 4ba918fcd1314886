//! `pause`, `override`, `resume`, `wake`: people in charge.
//!
//! For: orders to a running daemon, always with an expiry, each leaving an audit line there. Never acts by itself.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::{Answer, ServerArgs};
use crate::args::{Workload, duration, pool_count};
use crate::failure::Failure;
use crate::output::{Console, clean, seconds};

const PAUSE_EXAMPLES: &str = "Examples:
  trimtab pause team-a/chat --reason 'node maintenance'
  trimtab pause team-a/chat --for 2h --reason 'load test'";

const OVERRIDE_EXAMPLES: &str = "Examples:
  trimtab override team-a/chat default=6 --reason 'launch at noon'
  trimtab override team-a/chat prefill=2 decode=6 --for 1h";

const RESUME_EXAMPLES: &str = "Examples:
  trimtab resume team-a/chat
  trimtab resume team-a/chat --reason 'maintenance done'";

const WAKE_EXAMPLES: &str = "Examples:
  trimtab wake team-a/chat
  trimtab wake team-a/chat --reason 'batch job starts'";

/// Change nothing for a while
///
/// Nothing is started or stopped until it ends by itself or `resume` ends it. Beats override and wake.
#[derive(Debug, clap::Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(crate) struct PauseArgs {
    /// The workload
    #[arg(value_name = "NS/NAME")]
    workload: Workload,
    #[command(flatten)]
    term: Term,
    #[command(flatten)]
    server: ServerArgs,
}

/// Put a person's number in place of the policies' for a while
///
/// Bounds and budget still hold; staleness, cooldown and rate do not.
#[derive(Debug, clap::Args)]
#[command(after_help = OVERRIDE_EXAMPLES)]
pub(crate) struct OverrideArgs {
    /// The workload
    #[arg(value_name = "NS/NAME")]
    workload: Workload,
    /// Serving replicas of a pool
    #[arg(value_name = "POOL=N", required = true, value_parser = pool_count)]
    pools: Vec<(String, u32)>,
    #[command(flatten)]
    term: Term,
    #[command(flatten)]
    server: ServerArgs,
}

/// End a pause and an override
#[derive(Debug, clap::Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub(crate) struct ResumeArgs {
    /// The workload
    #[arg(value_name = "NS/NAME")]
    workload: Workload,
    /// Why, for the audit line
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Raise the floor to `wakeReplicas` for `hold`
///
/// For pools that may go to zero; both numbers are the manifest's.
#[derive(Debug, clap::Args)]
#[command(after_help = WAKE_EXAMPLES)]
pub(crate) struct WakeArgs {
    /// The workload
    #[arg(value_name = "NS/NAME")]
    workload: Workload,
    /// Why, for the audit line
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// How long an order stands, and why.
#[derive(Debug, clap::Args)]
struct Term {
    /// When it ends by itself, from now
    #[arg(long = "for", value_name = "DURATION", default_value = "30m", value_parser = duration)]
    lasting: Duration,
    /// Why, for the audit line
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl PauseArgs {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let body = json!({"forSeconds": self.term.lasting.as_secs_f64(), "reason": self.term.reason});
        let done = format!("paused for {}", seconds(self.term.lasting.as_secs_f64()));
        order(&self.server, &self.workload, "pause", &body, &done, console)
    }
}

impl OverrideArgs {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let pools: BTreeMap<&str, u32> = self.pools.iter().map(|(pool, n)| (pool.as_str(), *n)).collect();
        if pools.len() != self.pools.len() {
            return Err(Failure::usage("POOL=N", "a pool is named twice", "name each pool once").into());
        }
        let lasting = self.term.lasting.as_secs_f64();
        let body = json!({"forSeconds": lasting, "reason": self.term.reason, "pools": pools});
        let numbers: Vec<String> = pools.iter().map(|(pool, n)| format!("{pool}={n}")).collect();
        let done = format!("{} for {}", numbers.join(" "), seconds(lasting));
        order(&self.server, &self.workload, "override", &body, &done, console)
    }
}

impl ResumeArgs {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let body = json!({"reason": self.reason});
        order(&self.server, &self.workload, "resume", &body, "resumed", console)
    }
}

impl WakeArgs {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let body = json!({"reason": self.reason});
        order(&self.server, &self.workload, "wake", &body, "woken", console)
    }
}

fn order(
    server: &ServerArgs,
    workload: &Workload,
    verb: &str,
    body: &Value,
    done: &str,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let text = server.post(&format!("/v1/workloads/{workload}/{verb}"), body)?;
    let answer: Answer = serde_json::from_str(&text).unwrap_or_default();
    let line = if answer.message.is_empty() { done.to_owned() } else { clean(&answer.message) };
    console.print(&format!("{workload}: {line}"))?;
    Ok(ExitCode::SUCCESS)
}
