//! `check`: everything that `run` would refuse, without starting anything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use trimtab_live::daemon;
use trimtab_live::manifest;
use trimtab_live::modules::{Modules, ModulesConfig, State};
use trimtab_live::stages;
use trimtab_live::tenants::Tenants;
use trimtab_sandbox::{Allocator, Sandbox, SandboxConfig};

use crate::bundled;
use crate::failure::{Problem, Problems, problems, show};
use crate::output::{Console, OutputArgs};
use crate::verbs::compile::compiler;

const EXAMPLES: &str = "Examples:
  trimtab check -f chat.yaml
  trimtab check -f scalers/ --policies ./policies.d -o json

Exit codes: 0 nothing is wrong; 1 something is.";

/// Check manifests, and the policies they name, without starting anything
///
/// Syntax and fields, every policy through admission, each configuration against its policy's schema and its own check, and
/// that every signal a policy must have comes from somewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Manifests: files, or folders of *.yaml and *.yml
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Directories of policy modules; of several the later wins
    #[arg(long, value_name = "DIR", default_value = "./policies.d")]
    policies: Vec<PathBuf>,
    /// The admin port of the daemon that will run them, which no manifest may name
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9470")]
    listen: SocketAddr,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let loaded = manifest::load(&self.files);
        let mut found = problems(&loaded.all_problems());
        let good = loaded.documents.iter().filter_map(|document| document.outcome.as_ref().ok());
        let scalers: Vec<_> = good.cloned().collect();
        let modules = modules(self.policies, loaded.tenants())?;
        let snapshot = modules.snapshot();
        for entry in snapshot.entries().filter(|entry| entry.state != State::Ok) {
            found.push(Problem {
                place: format!("policy {}", entry.key),
                stage: entry.problem.as_ref().map_or("policy", |problem| problem.stage.as_str()).to_owned(),
                message: entry.problem.as_ref().map_or_else(|| entry.message.clone(), |p| p.message.clone()),
                hint: entry.problem.as_ref().map_or_else(String::new, |p| p.hint.clone()),
            });
        }
        for scaler in &scalers {
            found.extend(problems(&daemon::own_addresses(scaler, Some(self.listen))));
            found.extend(problems(&stages::check(scaler, &snapshot).1));
        }
        let code = if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if self.output.json() {
            console.print_json(&Problems { problems: found })?;
        } else if found.is_empty() {
            let names: Vec<String> = scalers.iter().map(|scaler| scaler.config.id.to_string()).collect();
            console.print(&format!("ok: {} workload(s): {}", names.len(), names.join(", ")))?;
        } else {
            console.print(show(&found, console.paint()).trim_end())?;
        }
        Ok(code)
    }
}

/// The modules as a daemon without memory would see them.
fn modules(dirs: Vec<PathBuf>, tenants: Tenants) -> anyhow::Result<Modules> {
    let sandbox = Sandbox::new(SandboxConfig {
        allocator: Allocator::OnDemand,
        compiler: compiler(),
        ..SandboxConfig::default()
    })?;
    let config = ModulesConfig {
        dirs,
        state: None,
        bundled: bundled::POLICIES.to_vec(),
        watch: false,
        wanted: Vec::new(),
        tenants: Arc::new(tenants),
        on_event: Box::new(|_| {}),
    };
    Ok(Modules::start(config, sandbox)?)
}
