//! `policy call`: one decision of a module, on an observation from a file.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use trimtab_control::policy::{Answer, Call, Policy as _};

use crate::failure::Failure;
use crate::observation::ObservationFile;
use crate::output::{Console, OutputArgs, bytes, clean};

const EXAMPLES: &str = "Examples:
  trimtab policy call concurrency --config config.yaml --observation observation.yaml
  trimtab policy call latency-guard.wasm --observation observation.yaml --state state.json -o json

An observation:
  pools: [{name: default, min: 1, max: 8, desired: 2, ready: 2}]
  series: [{signal: queue-depth, step: 15s, values: [0, null, 12], age: 1s, coverage: 1}]";

/// Ask a policy for one decision
///
/// Prints the decision, or the policy's refusal with exit code 1. The observation is YAML or JSON with the contract's
/// fields in camelCase; a missing value is null.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The module: a file, or a name in ./policies.d or among the bundled ones
    #[arg(value_name = "FILE|NAME")]
    module: PathBuf,
    /// The configuration, YAML or JSON; default {}
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the policy sees, YAML or JSON
    #[arg(long, value_name = "FILE")]
    observation: PathBuf,
    /// The state that an earlier decision gave; default none
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let found = super::find(&self.module)?;
        let config = super::config(self.config.as_deref())?;
        let form = "an observation; `trimtab policy call --help` shows one";
        let seen: ObservationFile = super::document(&self.observation, form)?;
        let state = match &self.state {
            None => Vec::new(),
            Some(path) => std::fs::read(path).map_err(|e| {
                Failure::new(path.display().to_string(), format!("cannot read the state: {e}"), "name a readable file")
            })?,
        };
        let admitted = super::admit(&found)?;
        let parsed: Value = serde_json::from_str(&config)?;
        if let Err(issues) = admitted.check_config(&parsed) {
            let lines: Vec<String> =
                issues.iter().map(|i| format!("{}: {}", super::or_whole(&i.path), i.message)).collect();
            let place = self.config.map_or_else(|| "the configuration {}".to_owned(), |p| p.display().to_string());
            return Err(Failure::new(place, lines.join("; "), "`trimtab policy inspect` shows the schema").into());
        }
        let call = admitted.decide(&config, &seen.into_observation(), &state);
        if self.output.json() {
            console.print_json(&page(&call))?;
        } else {
            console.print(&render(&call))?;
        }
        Ok(if call.answer.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn page(call: &Call) -> Value {
    let log: Vec<Value> = call.log.iter().map(|line| json!({"level": line.level, "message": line.message})).collect();
    let mut page = match &call.answer {
        Ok(answer) => decision(answer),
        Err(fault) => json!({"error": {"code": fault.code, "message": fault.message}}),
    };
    page["log"] = Value::from(log);
    page
}

fn decision(answer: &Answer) -> Value {
    let notes: Map<String, Value> = answer.notes.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
    json!({
        "targets": answer.targets,
        "reason": answer.reason,
        "notes": notes,
        "state": answer.state.as_deref().map(state),
        "recheckSeconds": answer.recheck.map(trimtab_control::time::Span::as_seconds),
    })
}

/// The SDK's state is JSON text; another one is written as the numbers of its bytes.
fn state(state: &[u8]) -> Value {
    std::str::from_utf8(state).map_or_else(|_| Value::from(state), Value::from)
}

fn render(call: &Call) -> String {
    let mut out = String::new();
    match &call.answer {
        Ok(answer) => {
            for target in &answer.targets {
                let _ = writeln!(out, "{} {} {}", clean(&target.pool), target.tier.as_str(), target.replicas);
            }
            if answer.targets.is_empty() {
                out.push_str("keeps what was proposed\n");
            }
            let _ = writeln!(out, "because {}", clean(&answer.reason));
            for (name, value) in &answer.notes {
                let _ = writeln!(out, "  {}={}", clean(name), clean(value));
            }
            if let Some(state) = &answer.state {
                let _ = writeln!(out, "state {}", bytes(state.len()));
            }
        }
        Err(fault) => {
            let _ = writeln!(out, "no answer, {}: {}", clean(&fault.code), clean(&fault.message));
        }
    }
    for line in &call.log {
        let _ = writeln!(out, "log {:?}: {}", line.level, clean(&line.message));
    }
    out
}
