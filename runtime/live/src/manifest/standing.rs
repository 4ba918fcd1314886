//! What holds while the daemon runs: the last good version of every document.
//!
//! For: an edit that is wrong, a file that is half written or cannot be read changes nothing; only a document that was
//! taken away ends: with its file, or from a file without a mistake. Never touches a replica.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use trimtab_control::config::WorkloadId;
use trimtab_sandbox::Limits;

use super::{Loaded, Problem, Scaler};
use crate::tenants::Tenants;

/// The documents in force.
#[derive(Debug, Default)]
pub struct Standing {
    held: BTreeMap<WorkloadId, Held>,
    tenants: BTreeMap<String, (PathBuf, Arc<Limits>)>,
}

#[derive(Debug)]
struct Held {
    file: PathBuf,
    scaler: Arc<Scaler>,
}

/// What a reload changed.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// New, or not what they were. A change of comments or spacing alone is none.
    pub changed: Vec<Arc<Scaler>>,
    /// Taken away: their control ends, their replicas stay.
    pub ended: Vec<WorkloadId>,
    /// What is wrong now; the last good versions of these stay in force.
    pub problems: Vec<Problem>,
}

impl Standing {
    /// At the start everything must be good: else all the problems.
    pub fn start(loaded: Loaded) -> Result<Standing, Vec<Problem>> {
        let mut standing = Standing::default();
        let changes = standing.refresh(loaded);
        if changes.problems.is_empty() { Ok(standing) } else { Err(changes.problems) }
    }

    /// Every document in force, by namespace and name.
    pub fn scalers(&self) -> impl Iterator<Item = &Arc<Scaler>> {
        self.held.values().map(|held| &held.scaler)
    }

    /// What each tenant may use.
    pub fn tenants(&self) -> Tenants {
        Tenants::new(self.tenants.iter().map(|(name, (_, limits))| (name.clone(), Arc::clone(limits))).collect())
    }

    /// Takes over what is good of a reload.
    pub fn refresh(&mut self, loaded: Loaded) -> Changes {
        let mut changes = Changes { problems: loaded.problems(&self.owners()), ..Changes::default() };
        let owners = loaded.owners(&self.owners());
        self.refresh_tenants(&loaded);
        let mut seen = BTreeSet::new();
        for document in loaded.documents {
            let Some(id) = document.id else { continue };
            if owners.get(&id) != Some(&document.file) {
                continue;
            }
            let first = seen.insert(id.clone());
            let Ok(scaler) = document.outcome else { continue };
            let old = self.held.get(&id);
            if !first || old.is_some_and(|old| old.file == document.file && old.scaler == scaler) {
                continue;
            }
            if old.is_none_or(|old| old.scaler.digest != scaler.digest || old.file != document.file) {
                changes.changed.push(Arc::clone(&scaler));
            }
            self.held.insert(id, Held { file: document.file, scaler });
        }
        self.held.retain(|id, held| {
            let stays = seen.contains(id) || loaded.unclear.iter().any(|path| held.file.starts_with(path));
            if !stays {
                changes.ended.push(id.clone());
            }
            stays
        });
        changes
    }

    /// One that is wrong stays as it was; one that was taken away has the defaults again.
    fn refresh_tenants(&mut self, loaded: &Loaded) {
        let mut seen = BTreeSet::new();
        for document in &loaded.tenants {
            let Some(name) = document.name.as_ref().filter(|name| seen.insert((*name).clone())) else { continue };
            if let Ok(limits) = &document.outcome {
                self.tenants.insert(name.clone(), (document.file.clone(), Arc::clone(limits)));
            }
        }
        let unclear = |file: &PathBuf| loaded.unclear.iter().any(|path| file.starts_with(path));
        self.tenants.retain(|name, (file, _)| seen.contains(name) || unclear(file));
    }

    fn owners(&self) -> BTreeMap<WorkloadId, PathBuf> {
        self.held.iter().map(|(id, held)| (id.clone(), held.file.clone())).collect()
    }
}
