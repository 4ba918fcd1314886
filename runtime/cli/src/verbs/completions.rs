//! `completions`: what a shell needs to complete verbs and flags.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::output::Console;
use crate::verbs::Cli;

const EXAMPLES: &str = "Examples:
  trimtab completions bash > ~/.local/share/bash-completion/completions/trimtab
  trimtab completions zsh > ~/.zfunc/_trimtab
  trimtab completions fish > ~/.config/fish/completions/trimtab.fish";

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "trimtab", &mut script);
        console.print(&String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
