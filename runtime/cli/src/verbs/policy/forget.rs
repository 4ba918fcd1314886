//! `policy forget`: let go of a last good version.

use std::process::ExitCode;

use serde_json::json;

use crate::admin::{Answer, ServerArgs};
use crate::failure::Failure;
use crate::output::{Console, clean};

const EXAMPLES: &str = "Examples:
  rm policies.d/latency-guard.wasm && trimtab policy forget latency-guard";

/// Make a daemon forget the last good version of a policy
///
/// Deleting or breaking a file changes nothing: the last good version serves on. This ends that: a bundled policy of the
/// same name takes its place, or the stages that use it have no module and their onFailure applies.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The policy
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(
                Failure::usage(self.name, "is not the name of a policy", "`trimtab policy list` shows them").into()
            );
        }
        let text = self.server.post(&format!("/v1/policies/{}/forget", self.name), &json!({}))?;
        let answer: Answer = serde_json::from_str(&text).unwrap_or_default();
        let line = if answer.message.is_empty() { format!("{}: forgotten", self.name) } else { clean(&answer.message) };
        console.print(&line)?;
        Ok(ExitCode::SUCCESS)
    }
}
