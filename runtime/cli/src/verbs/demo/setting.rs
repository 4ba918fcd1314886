//! Where the demo plays: a folder that goes away with it.
//!
//! For: the manifest, the policies directory and the state of one run. Never writes anywhere else.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::bundled;

pub(super) const NAMESPACE: &str = "default";
pub(super) const NAME: &str = "chat";

/// The policy that is swapped, and the one whose broken version is refused.
pub(super) const SWAPPED: &str = "concurrency";
pub(super) const BROKEN: &str = "queue-depth";

/// See the module.
pub(super) struct Setting {
    folder: TempDir,
}

impl Setting {
    pub(super) fn make() -> anyhow::Result<Setting> {
        let folder = TempDir::with_prefix("trimtab-demo-").context("no temporary folder can be made")?;
        let setting = Setting { folder };
        std::fs::create_dir(setting.policies())?;
        let program = std::env::current_exe().context("this program cannot tell where it is")?;
        std::fs::write(setting.manifest(), manifest(&program))?;
        Ok(setting)
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.folder.path().join("chat.yaml")
    }

    pub(super) fn policies(&self) -> PathBuf {
        self.folder.path().join("policies.d")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }
}

/// A rebuilt version of a shipped policy: the same code with another note inside, so another digest.
pub(super) fn rebuilt(name: &str) -> Option<Vec<u8>> {
    let mut module = bundled::policy(name)?.to_vec();
    // A custom section: id 0, its size, the length of its name, the name.
    let note = b"trimtab-demo";
    module.extend([0, note.len() as u8 + 1, note.len() as u8]);
    module.extend_from_slice(note);
    Some(module)
}

/// Puts a file in place as an author would: written beside, then renamed.
pub(super) fn drop_in(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let beside = folder.join(format!(".{name}.tmp"));
    std::fs::write(&beside, bytes)?;
    std::fs::rename(beside, folder.join(format!("{name}.wasm")))
}

fn manifest(program: &Path) -> String {
    // JSON is YAML: any path is quoted rightly.
    let program = serde_json::Value::from(program.to_string_lossy().as_ref());
    format!(
        "apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {{name: {NAME}, namespace: {NAMESPACE}}}
spec:
  interval: 1s
  pools:
    - minReplicas: 1
      maxReplicas: 8
      startup: 3s
      process:
        command: [{program}, engine, --port, \"{{port}}\", --startup, 3s]
        ports: 18600-18649
        drain: {{grace: 2s, timeout: 20s}}
  metrics:
    - engine: vllm
  policies:
    - name: concurrency
      config: {{target: 8}}
    - name: queue-depth
      combine: max
      config: {{drainWithin: 5s}}
    - name: cooldown
      config: {{down: 5s}}
  guardrails:
    scaleDown: {{maxStep: 1, per: 3s, cooldown: 8s}}
"
    )
}
