//! The modules and the manifest that are asked instead.
//!
//! For: `--policy NAME=FILE` and `-f MANIFEST`. Never runs them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trimtab_control::config::{OnFailure, WorkloadId};
use trimtab_live::journal::Instead;
use trimtab_live::manifest::{self, Scaler};
use trimtab_sandbox::{Admitted, Sandbox};

use crate::bundled;
use crate::failure::{Failure, problems};
use crate::verbs::policy;

/// `NAME=FILE`.
pub(super) fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), PathBuf::from(file))),
        _ => Err(format!("`{text}` is not NAME=FILE, such as queue-depth=./queue-depth.wasm")),
    }
}

/// See the module.
pub(super) struct Others {
    policies: BTreeMap<String, Admitted>,
    scalers: Option<Vec<Arc<Scaler>>>,
    bundled: BTreeMap<String, Admitted>,
}

impl Others {
    pub(super) fn read(
        policies: &[(String, PathBuf)],
        manifest: Option<&Path>,
        sandbox: &Sandbox,
    ) -> anyhow::Result<Others> {
        let mut others = Others { policies: BTreeMap::new(), scalers: None, bundled: BTreeMap::new() };
        for (name, file) in policies {
            let found = policy::find(file)?;
            let admitted = sandbox.admit(&found.bytes).map_err(|refusal| policy::failure(&found.place, &refusal))?;
            others.policies.insert(name.clone(), admitted);
        }
        if let Some(path) = manifest {
            let scalers = scalers(path)?;
            for name in scalers.iter().flat_map(|scaler| names(scaler)) {
                if let Some(bytes) = bundled::policy(&name).filter(|_| !others.bundled.contains_key(&name)) {
                    let admitted = sandbox.admit(bytes).map_err(|refusal| policy::failure(&name, &refusal))?;
                    others.bundled.insert(name, admitted);
                }
            }
            others.scalers = Some(scalers);
        }
        Ok(others)
    }

    /// What is asked instead of what a workload asked; none: the manifest does not have it.
    pub(super) fn of(&self, id: &WorkloadId) -> Option<Instead> {
        let mut instead = Instead::of(self.policies.clone());
        if let Some(scalers) = &self.scalers {
            let scaler = scalers.iter().find(|scaler| scaler.config.id == *id)?;
            instead.config = Some(scaler.config.clone());
            instead.also.clone_from(&self.bundled);
        }
        Some(instead)
    }
}

fn scalers(path: &Path) -> anyhow::Result<Vec<Arc<Scaler>>> {
    let loaded = manifest::load(&[path.to_path_buf()]);
    if let Some(problem) = problems(&loaded.all_problems()).into_iter().next() {
        return Err(Failure::new(problem.place, problem.message, problem.hint).into());
    }
    Ok(loaded.documents.into_iter().filter_map(|document| document.outcome.ok()).collect())
}

fn names(scaler: &Scaler) -> Vec<String> {
    let mut names = Vec::new();
    for stage in &scaler.config.stages {
        names.push(stage.module.policy.clone());
        if let OnFailure::Fallback(module) = &stage.on_failure {
            names.push(module.policy.clone());
        }
    }
    names
}
