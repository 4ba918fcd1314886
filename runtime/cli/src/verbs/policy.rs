//! `policy`: the author's tools.
//!
//! For: the shape of the family, and what its verbs share: finding a module, admitting it, showing a refusal.

mod build;
mod call;
mod check;
mod forget;
mod inspect;
mod list;
mod new;
mod toolchain;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use trimtab_sandbox::{Admitted, Allocator, Limits, Refusal, Sandbox, SandboxConfig};

use crate::bundled;
use crate::failure::{Failure, Problem};
use crate::output::Console;
use crate::verbs::compile::compiler;
use crate::verbs::later::Later;

const AFTER_HELP: &str = "\
Examples:
  trimtab policy new latency-guard        a project with tests and the SDK's source beside it
  trimtab policy build latency-guard      latency-guard/latency-guard.wasm
  trimtab policy check latency-guard/latency-guard.wasm --config config.json
  cp latency-guard/latency-guard.wasm policies.d/.new && mv policies.d/.new policies.d/latency-guard.wasm

Not in this version: test, bench, dev, push, pull.";

/// Write, build, check and try policies
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(new::Args),
    Build(build::Args),
    Check(check::Args),
    Inspect(inspect::Args),
    Call(call::Args),
    List(list::Args),
    Forget(forget::Args),
    #[command(hide = true, disable_help_flag = true)]
    Test(Later),
    #[command(hide = true, disable_help_flag = true)]
    Bench(Later),
    #[command(hide = true, disable_help_flag = true)]
    Dev(Later),
    #[command(hide = true, disable_help_flag = true)]
    Push(Later),
    #[command(hide = true, disable_help_flag = true)]
    Pull(Later),
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        match self.verb {
            Verb::New(args) => args.run(console),
            Verb::Build(args) => args.run(console),
            Verb::Check(args) => args.run(console),
            Verb::Inspect(args) => args.run(console),
            Verb::Call(args) => args.run(console),
            Verb::List(args) => args.run(console),
            Verb::Forget(args) => args.run(console),
            Verb::Test(args) => args.refuse("policy test"),
            Verb::Bench(args) => args.refuse("policy bench"),
            Verb::Dev(args) => args.refuse("policy dev"),
            Verb::Push(args) => args.refuse("policy push"),
            Verb::Pull(args) => args.refuse("policy pull"),
        }
    }
}

/// A module's bytes, and where they came from.
pub(super) struct Found {
    pub(super) place: String,
    pub(super) bytes: Vec<u8>,
}

/// `FILE|NAME`: a path has a separator or ends in `.wasm`; a name is looked up as `run` does by default, in
/// `./policies.d`, then among the bundled ones.
pub(super) fn find(module: &Path) -> anyhow::Result<Found> {
    let text = module.to_string_lossy();
    let is_file = text.contains(std::path::MAIN_SEPARATOR) || text.ends_with(".wasm");
    if is_file {
        return read(module);
    }
    let dropped = PathBuf::from("policies.d").join(format!("{text}.wasm"));
    if dropped.is_file() {
        return read(&dropped);
    }
    match bundled::policy(&text) {
        Some(bytes) => Ok(Found { place: format!("{text} (bundled)"), bytes: bytes.to_vec() }),
        None => {
            let names: Vec<&str> = bundled::POLICIES.iter().map(|(name, _)| *name).collect();
            let fix = format!("name a .wasm file, or one of: {}", names.join(", "));
            Err(Failure::new(text, "there is no policies.d file and no bundled policy of that name", fix).into())
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Found> {
    let place = path.display().to_string();
    let read = || {
        // A pipe would wait for a writer, and a device may have no end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        let most = Limits::default().module_bytes as u64 + 1;
        std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Found { place, bytes }),
        Err(e) => Err(Failure::new(place, format!("cannot read the module: {e}"), "name a readable .wasm file").into()),
    }
}

/// A sandbox for a few calls.
fn sandbox() -> anyhow::Result<Sandbox> {
    Ok(Sandbox::new(SandboxConfig {
        allocator: Allocator::OnDemand,
        compiler: compiler(),
        ..SandboxConfig::default()
    })?)
}

/// The stages of admission that depend on the bytes alone.
fn admit(found: &Found) -> anyhow::Result<Admitted> {
    Ok(sandbox()?.admit(&found.bytes).map_err(|refusal| failure(&found.place, &refusal))?)
}

/// A refusal as an error.
pub(super) fn failure(place: &str, refusal: &Refusal) -> Failure {
    let issues: Vec<String> = refusal.issues.iter().map(|i| format!("{}: {}", or_whole(&i.path), i.message)).collect();
    let detail = if issues.is_empty() { String::new() } else { format!(" ({})", issues.join("; ")) };
    Failure::new(place, format!("{}: {}{detail}", refusal.stage, refusal.message), refusal.hint.as_str())
}

/// A refusal as problems: one, or one for each thing that is wrong with a configuration.
fn problems(place: &str, refusal: &Refusal) -> Vec<Problem> {
    let problem = |place: String, message: &str| Problem {
        place,
        stage: refusal.stage.to_string(),
        message: message.to_owned(),
        hint: refusal.hint.clone(),
    };
    if refusal.issues.is_empty() {
        return vec![problem(place.to_owned(), &refusal.message)];
    }
    refusal.issues.iter().map(|i| problem(format!("{place}#{}", i.path), &i.message)).collect()
}

fn or_whole(path: &str) -> &str {
    if path.is_empty() { "the whole" } else { path }
}

/// A policy's configuration from a file in YAML or JSON, as JSON text; without a file, `{}`.
fn config(file: Option<&Path>) -> anyhow::Result<String> {
    let Some(path) = file else { return Ok("{}".to_owned()) };
    let value: serde_json::Value = document(path, "a configuration in YAML or JSON, such as {target: 8}")?;
    Ok(value.to_string())
}

/// A file in YAML or JSON.
fn document<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::new(place.as_str(), format!("cannot read it: {e}"), format!("name a file with {what}"))
    })?;
    Ok(serde_saphyr::from_str(&text)
        .map_err(|e| Failure::new(place.as_str(), e.to_string(), format!("write {what}")))?)
}
