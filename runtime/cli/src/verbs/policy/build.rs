//! `policy build`: from a Rust project to a module that can be dropped into the policies directory.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::Context as _;
use serde::Deserialize;

use super::toolchain::Toolchain;
use crate::failure::Failure;
use crate::output::{Console, OutputArgs, bytes};

const EXAMPLES: &str = "Examples:
  trimtab policy build
  trimtab policy build latency-guard";

/// Build a Rust policy project into NAME.wasm
///
/// Compiles for wasm32-unknown-unknown, wraps the result as a component, and admits it as the daemon would. NAME is what
/// the policy calls itself; the file is written into the project, under a temporary name first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The project
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// A line of cargo's messages, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let place = self.dir.display().to_string();
        let manifest = self.dir.join("Cargo.toml");
        if !manifest.is_file() {
            let fix = "name a policy's folder, or make one with `trimtab policy new NAME`";
            return Err(Failure::usage(place, "there is no Cargo.toml", fix).into());
        }
        let toolchain = Toolchain::find(&self.dir)?;
        console.progress(&format!("building {place} with {}", toolchain.about));
        let core = compile(&toolchain, &self.dir, &manifest)?;
        let core = std::fs::read(&core).with_context(|| core.display().to_string())?;
        let sandbox = super::sandbox()?;
        let module = sandbox.componentize(&core).map_err(|refusal| super::failure(&place, &refusal))?;
        let admitted = sandbox.admit(&module).map_err(|refusal| super::failure(&place, &refusal))?;

        let name = &admitted.description().name;
        let path = self.dir.join(format!("{name}.wasm"));
        write_whole(&path, &module)?;
        let about = admitted.inspection();
        if self.output.json() {
            console.print_json(&serde_json::json!({
                "name": name, "file": path, "digest": about.digest, "bytes": about.bytes, "imports": about.imports,
            }))?;
        } else {
            let size = bytes(about.bytes);
            console.print(&format!("{}\n  {size}, {}", path.display(), about.digest))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs cargo, whose own messages go to standard error, and finds the core module it made.
fn compile(toolchain: &Toolchain, dir: &Path, manifest: &Path) -> anyhow::Result<PathBuf> {
    let place = manifest.display().to_string();
    let output = toolchain
        .build()
        .arg("--message-format=json-render-diagnostics")
        .current_dir(dir)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Failure::new(place.as_str(), format!("cargo cannot be started: {e}"), "install cargo"))?;
    if !output.status.success() {
        return Err(Failure::new(place, "cargo could not build it", "mend what cargo says above").into());
    }
    let manifest = manifest.canonicalize().with_context(|| place.clone())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let artefact = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|m| m.reason == "compiler-artifact" && m.manifest_path == manifest)
        .flat_map(|m| m.filenames)
        .find(|file| file.extension().is_some_and(|e| e == "wasm"));
    artefact.ok_or_else(|| {
        let fix = "add to Cargo.toml: [lib] crate-type = [\"cdylib\", \"rlib\"]";
        Failure::new(place, "the project makes no .wasm", fix).into()
    })
}

/// A watcher of the folder sees the old file or the new one, never half of one.
fn write_whole(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".trimtab-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, contents)?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(permissions)?;
    file.persist(path).with_context(|| path.display().to_string())?;
    Ok(())
}
