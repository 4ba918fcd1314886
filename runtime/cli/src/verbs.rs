//! The verbs: what the command line looks like, and which file does the work.
//!
//! For: the shape of the command line and nothing else. Each verb's arguments, help and work live in its own file.

mod check;
mod compile;
mod completions;
mod demo;
mod engine;
mod explain;
mod later;
mod load;
mod orders;
mod policy;
mod replay;
mod run;
mod schema;
mod status;
mod version;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::Console;
use later::Later;

const AFTER_HELP: &str = "\
Begin here:
  trimtab demo                            a simulated fleet, one minute, leaves nothing behind
  trimtab check -f chat.yaml              everything `run` would refuse
  trimtab run -f chat.yaml                the daemon
  trimtab status; trimtab explain default/chat

Exit codes: 0 done; 1 found problems or failed; 2 wrong usage.
Not in this version: simulate, compare, tune, trace, import, gpus, agent, metrics, budget, usage.";

/// Steers fleets of inference servers with small sandboxed WebAssembly policies
#[derive(Debug, Parser)]
#[command(name = "trimtab", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(propagate_version = false, disable_help_subcommand = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Check(check::Args),
    Demo(demo::Args),
    Engine(engine::Args),
    Load(load::Args),
    Status(status::Args),
    Explain(explain::Args),
    Replay(replay::Args),
    Pause(orders::PauseArgs),
    Override(orders::OverrideArgs),
    Resume(orders::ResumeArgs),
    Wake(orders::WakeArgs),
    Policy(policy::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Version(version::Args),
    #[command(name = compile::VERB, hide = true)]
    Compile(compile::Args),
    #[command(hide = true, disable_help_flag = true)]
    Simulate(Later),
    #[command(hide = true, disable_help_flag = true)]
    Compare(Later),
    #[command(hide = true, disable_help_flag = true)]
    Tune(Later),
    #[command(hide = true, disable_help_flag = true)]
    Trace(Later),
    #[command(hide = true, disable_help_flag = true)]
    Import(Later),
    #[command(hide = true, disable_help_flag = true)]
    Gpus(Later),
    #[command(hide = true, disable_help_flag = true)]
    Agent(Later),
    #[command(hide = true, disable_help_flag = true)]
    Metrics(Later),
    #[command(hide = true, disable_help_flag = true)]
    Budget(Later),
    #[command(hide = true, disable_help_flag = true)]
    Usage(Later),
}

impl Cli {
    /// Does what was asked; the exit code where nothing failed.
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        match self.verb {
            Verb::Run(args) => args.run(console),
            Verb::Check(args) => args.run(console),
            Verb::Demo(args) => args.run(console),
            Verb::Engine(args) => args.run(console),
            Verb::Load(args) => args.run(console),
            Verb::Status(args) => args.run(console),
            Verb::Explain(args) => args.run(console),
            Verb::Replay(args) => args.run(console),
            Verb::Pause(args) => args.run(console),
            Verb::Override(args) => args.run(console),
            Verb::Resume(args) => args.run(console),
            Verb::Wake(args) => args.run(console),
            Verb::Policy(args) => args.run(console),
            Verb::Schema(args) => args.run(console),
            Verb::Completions(args) => args.run(console),
            Verb::Version(args) => args.run(console),
            Verb::Compile(_) => compile::Args::run(),
            Verb::Trace(args) => args.refuse("trace"),
            Verb::Simulate(args) => args.refuse("simulate"),
            Verb::Compare(args) => args.refuse("compare"),
            Verb::Tune(args) => args.refuse("tune"),
            Verb::Import(args) => args.refuse("import"),
            Verb::Gpus(args) => args.refuse("gpus"),
            Verb::Agent(args) => args.refuse("agent"),
            Verb::Metrics(args) => args.refuse("metrics"),
            Verb::Budget(args) => args.refuse("budget"),
            Verb::Usage(args) => args.refuse("usage"),
        }
    }
}
