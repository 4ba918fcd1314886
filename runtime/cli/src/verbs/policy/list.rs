//! `policy list`: the modules a daemon knows.

use std::process::ExitCode;

use crate::admin::{Policies, ServerArgs, parse};
use crate::output::{Align, Console, OutputArgs, Table, short_digest};

const EXAMPLES: &str = "Examples:
  trimtab policy list
  trimtab policy list -o json";

/// List the policies that a daemon knows, and who uses them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let text = self.server.get("/v1/policies")?;
        if self.output.json() {
            console.print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        let page: Policies = parse(&text)?;
        let columns = ["POLICY", "TENANT", "DIGEST", "SOURCE", "STATE", "USED BY", ""].map(|name| (name, Align::Left));
        let mut table = Table::new(&columns);
        for policy in page.policies {
            let tenant = if policy.tenant.is_empty() { "(all)".to_owned() } else { policy.tenant };
            let used_by = if policy.used_by.is_empty() { "-".to_owned() } else { policy.used_by.join(",") };
            let digest = short_digest(&policy.digest);
            table.row([policy.name, tenant, digest, policy.source, policy.state, used_by, policy.message]);
        }
        console.print(&table.render())?;
        Ok(ExitCode::SUCCESS)
    }
}
