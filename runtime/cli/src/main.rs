//! The `trimtab` binary: one file per verb, a thin `main`.
//!
//! For: reading arguments, calling the library that does the work, and putting its answer into words and exit codes
//! (0 done, 1 found problems or failed, 2 wrong usage). Never decides anything about replicas, and nothing depends on it.

mod admin;
mod args;
mod bundled;
mod explain;
mod failure;
mod observation;
mod output;
mod process;
mod verbs;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use crate::failure::Failure;
use crate::output::Console;
use crate::verbs::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::detect();
    match cli.run(&console) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            Failure::report(&error, &console);
            ExitCode::from(Failure::exit_code(&error))
        }
    }
}

/// The reader of our output went away (`trimtab explain … | head`): nothing failed.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}
