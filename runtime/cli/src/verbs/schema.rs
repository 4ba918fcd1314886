//! `schema`: the JSON Schema of manifests.

use std::process::ExitCode;

use trimtab_live::manifest;

use crate::output::Console;

const EXAMPLES: &str = "Examples:
  trimtab schema > trimtab.schema.json
  # then, as the first line of a manifest, for editors with a YAML language server:
  # yaml-language-server: $schema=trimtab.schema.json";

/// Print the JSON Schema of manifests
///
/// Editors complete and check manifests with it. `trimtab check` knows more: places, and what spans several fields.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        console.print_json(&manifest::schema())?;
        Ok(ExitCode::SUCCESS)
    }
}
