//! `__compile`: the child in which modules are compiled. Not for people.
//!
//! For: what starts it and what it does are in `trimtab-sandbox`; this only gives it a name. Never does anything else.

use std::ffi::OsString;
use std::process::ExitCode;

use trimtab_sandbox::Compiler;

/// The name that nobody types.
pub(crate) const VERB: &str = "__compile";

/// Compile one module, given on standard input by a parent
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    #[expect(clippy::unnecessary_wraps, reason = "like every verb")]
    pub(crate) fn run() -> anyhow::Result<ExitCode> {
        Ok(trimtab_sandbox::compile_child())
    }
}

/// This program as the compiler of modules. Named by what runs, so that a file that was replaced meanwhile changes
/// nothing.
pub(crate) fn compiler() -> Compiler {
    Compiler::Child(["/proc/self/exe", VERB].map(OsString::from).to_vec())
}
