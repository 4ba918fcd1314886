//! `policy check`: what the daemon would refuse about a module, without a daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use trimtab_sandbox::{Refusal, Stage, synthetic_observation};

use crate::failure::{Failure, Problem, Problems, show};
use crate::output::{Console, OutputArgs, bytes, clean, short_digest};

const EXAMPLES: &str = "Examples:
  trimtab policy check latency-guard.wasm
  trimtab policy check latency-guard.wasm --config config.yaml -o json

Stages: inspect, imports, compile, link, describe, config, prepare, probe.";

/// Check a module as the daemon would before it lets it serve
///
/// Goes through every stage of admission: the file, its imports, compiling, linking, its description, the configuration
/// against its schema, its own check of the configuration, and one decision on a made-up observation.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The module
    #[arg(value_name = "FILE|NAME")]
    module: PathBuf,
    /// The configuration to check with, YAML or JSON; default {}
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let (problems, summary) = match self.check() {
            Ok(Ok(summary)) => (Vec::new(), summary),
            Ok(Err(problems)) => (problems, String::new()),
            // Whoever reads JSON finds everything there.
            Err(error) if self.output.json() => {
                (vec![error.downcast::<Failure>()?.into_problem("read")], String::new())
            }
            Err(error) => return Err(error),
        };
        let code = if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if self.output.json() {
            console.print_json(&Problems { problems })?;
        } else if problems.is_empty() {
            console.print(&summary)?;
        } else {
            console.print(&show(&problems, console.paint()))?;
        }
        Ok(code)
    }

    fn check(&self) -> anyhow::Result<Result<String, Vec<Problem>>> {
        let found = super::find(&self.module)?;
        let config = super::config(self.config.as_deref())?;
        Ok(match check(&found.bytes, &config)? {
            Ok(summary) => Ok(format!("{}: ok\n{summary}", found.place)),
            Err(refusal) => {
                let of_config = matches!(refusal.stage, Stage::Config | Stage::Prepare);
                let place = self.config.as_ref().filter(|_| of_config).map(|p| p.display().to_string());
                Err(super::problems(place.as_deref().unwrap_or(&found.place), &refusal))
            }
        })
    }
}

/// All stages. The outer error is the host's own.
fn check(module: &[u8], config: &str) -> anyhow::Result<Result<String, Refusal>> {
    let sandbox = super::sandbox()?;
    let parsed: serde_json::Value = serde_json::from_str(config)?;
    Ok(sandbox.admit(module).and_then(|admitted| {
        if let Err(issues) = admitted.check_config(&parsed) {
            let mut refusal = Refusal::new(Stage::Config, "bad-config", "the configuration does not fit the schema");
            refusal.issues = issues;
            return Err(refusal.hint("`trimtab policy inspect` shows the schema"));
        }
        let preparation = admitted.prepare(config)?;
        admitted.probe(config, &synthetic_observation(&preparation), &[])?;
        let about = admitted.description();
        let needs: Vec<&str> = preparation.needs.iter().map(|n| n.signal.as_str()).collect();
        let needs = if needs.is_empty() { "no series".to_owned() } else { needs.join(", ") };
        let size = bytes(admitted.bytes().len());
        let digest = short_digest(admitted.digest());
        Ok(format!("  {} {}, {size}, {digest}\n  needs {needs}", clean(&about.name), clean(&about.version)))
    }))
}
