//! `version`: which program this is.

use std::process::ExitCode;

use serde::Serialize;

use crate::output::{Console, OutputArgs};

const EXAMPLES: &str = "Examples:
  trimtab version
  trimtab version -o json";

/// Say which version this is
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    policy_contract: &'static str,
    manifest: &'static str,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let version = Version {
            version: env!("CARGO_PKG_VERSION"),
            policy_contract: "trimtab:policy@0.1.0",
            manifest: "trimtab.dev/v1alpha1",
        };
        if self.output.json() {
            console.print_json(&version)?;
        } else {
            console.print(&format!(
                "trimtab {}\npolicy contract {}\nmanifest {}",
                version.version, version.policy_contract, version.manifest
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
