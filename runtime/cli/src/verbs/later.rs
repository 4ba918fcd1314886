//! Verbs that belong to a later version: known, and refused by name.
//!
//! For: an answer other than "unrecognized" for names that are promised. Never ignores one.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::failure::Failure;

/// Whatever follows the name.
#[derive(Debug, clap::Args)]
pub(crate) struct Later {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    rest: Vec<OsString>,
}

impl Later {
    /// The refusal: exit code 2.
    pub(crate) fn refuse(self, verb: &str) -> anyhow::Result<ExitCode> {
        drop(self.rest);
        Err(Failure::usage(format!("`{verb}`"), "not in this version", "`trimtab --help` lists the verbs there are")
            .into())
    }
}
