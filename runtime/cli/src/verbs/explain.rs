//! `explain`: why.

use std::process::ExitCode;

use crate::admin::{Decisions, ServerArgs, parse};
use crate::args::Workload;
use crate::explain::story;
use crate::output::{Console, OutputArgs};

const EXAMPLES: &str = "Examples:
  trimtab explain team-a/chat
  trimtab explain team-a/chat --last 5
  trimtab explain default/chat -o json | jq '.decisions[0].guardrails'";

/// Tell why a workload has the replicas it has
///
/// Shows the newest decision: inputs with their age, what each stage proposed and why, which guardrails bit, and what
/// the target answered. Kept are the last 20 decisions that changed something, and the last one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The workload
    #[arg(value_name = "NS/NAME")]
    workload: Workload,
    /// So many decisions, newest first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    last: u32,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let text = self.server.get(&format!("/v1/workloads/{}/decisions?last={}", self.workload, self.last))?;
        if self.output.json() {
            console.print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        let page: Decisions = parse(&text)?;
        if page.decisions.is_empty() {
            console.print(&format!("{}: no decision yet", self.workload))?;
        }
        let name = self.workload.to_string();
        let stories: Vec<String> = page.decisions.iter().map(|d| story(&name, d, console.paint())).collect();
        console.print(&stories.join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
