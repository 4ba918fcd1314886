//! Manifests: what people write about their workloads, read, checked and built.
//!
//! For: YAML files and folders in; scalers ready for the daemon out, or every mistake with its place and its fix. In two
//! steps: what was written (`written`, one description of all fields), then what was built (`build`). Never starts
//! anything, opens no file that a manifest names, and no text of a file can make it panic.

mod address;
mod build;
mod collection;
mod field;
mod files;
mod json;
mod problem;
mod quantity;
mod reference;
mod scalar;
mod standing;
mod tenant;
#[cfg(test)]
mod tests;
mod tree;
mod written;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use trimtab_control::config::{WorkloadConfig, WorkloadId};
use trimtab_sandbox::Limits;

use crate::source::SourceSpec;
use crate::target::TargetSpec;
use crate::tenants::Tenants;

pub use problem::{Place, Problem, Spot, Step};
pub use reference::{reference, schema};
pub use standing::{Changes, Standing};

/// How decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actuator {
    /// The targets are asked.
    Direct,
    /// Decides, writes nothing.
    Observe,
}

/// One document, checked and with every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    /// For the controller; its generation is 0, the daemon counts.
    pub config: WorkloadConfig,
    /// How decisions are carried out.
    pub actuator: Actuator,
    /// Bytes of its journal; none: there is none.
    pub journal: Option<u64>,
    /// For schedules.
    pub time_zone: jiff::tz::TimeZone,
    /// What runs each pool, in the order of `config.pools`.
    pub targets: Vec<(String, TargetSpec)>,
    /// Where series come from, each with its place.
    pub sources: Vec<(SourceSpec, Place)>,
    /// Where the document begins.
    pub place: Place,
    /// By stage name.
    pub places: BTreeMap<String, StagePlaces>,
    /// SHA-256 of the document's content; comments and spacing do not count.
    pub digest: [u8; 32],
}

impl Scaler {
    /// Raw signals that some source, or a dry run, can give.
    pub fn signals(&self) -> Vec<&str> {
        let mut signals: Vec<&str> = self.sources.iter().flat_map(|(source, _)| source.signals()).collect();
        for (_, target) in &self.targets {
            if let TargetSpec::DryRun(dry) = target {
                signals.extend(dry.signals.keys().map(String::as_str));
            }
        }
        signals.sort_unstable();
        signals.dedup();
        signals
    }
}

/// Where a stage was written, to place what admission says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlaces {
    /// Of the module's name.
    pub policy: Place,
    /// Of the shadow's name; without one, that of the module's.
    pub shadow: Place,
    config: BTreeMap<String, Spot>,
    fallback: BTreeMap<String, Spot>,
}

impl StagePlaces {
    /// The place of a JSON pointer into the stage's config; of what encloses it when it was not written.
    pub fn config(&self, pointer: &str) -> Place {
        self.find(&self.config, pointer)
    }

    /// The same for the config of the stage's fallback.
    pub fn fallback(&self, pointer: &str) -> Place {
        self.find(&self.fallback, pointer)
    }

    fn find(&self, spots: &BTreeMap<String, Spot>, mut pointer: &str) -> Place {
        let spot = loop {
            match (spots.get(pointer), pointer.rfind('/')) {
                (Some(spot), _) => break *spot,
                (None, Some(cut)) => pointer = &pointer[..cut],
                (None, None) => break self.policy.spot,
            }
        };
        Place { file: Arc::clone(&self.policy.file), spot }
    }
}

/// One document of one file.
#[derive(Debug, Clone)]
pub struct Document {
    /// Who it says it is, where that could be read.
    pub id: Option<WorkloadId>,
    /// Where it was found.
    pub file: PathBuf,
    /// Where it begins.
    pub place: Place,
    /// The scaler, or every mistake in it; at least one.
    pub outcome: Result<Arc<Scaler>, Vec<Problem>>,
}

/// A document that says what a tenant may use.
#[derive(Debug, Clone)]
pub struct TenantDocument {
    /// The tenant, where that could be read.
    pub name: Option<String>,
    /// Where it was found.
    pub file: PathBuf,
    /// Where it begins.
    pub place: Place,
    /// Its limits, or every mistake in it; at least one.
    pub outcome: Result<Arc<Limits>, Vec<Problem>>,
}

/// Everything that was found at some paths.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// In the order of the paths, files and lines.
    pub documents: Vec<Document>,
    /// Likewise.
    pub tenants: Vec<TenantDocument>,
    /// Files and folders that could not be read, are empty, or hold no document.
    pub unreadable: Vec<Problem>,
    /// Files with a document that is wrong, or that were not read to the end, and folders that could not be looked at:
    /// nothing that stood in or beneath them ends.
    unclear: Vec<PathBuf>,
}

impl Loaded {
    /// What tenants may use, by the documents that are good.
    pub fn tenants(&self) -> Tenants {
        let good = self.tenants.iter().filter_map(|d| Some((d.name.clone()?, Arc::clone(d.outcome.as_ref().ok()?))));
        Tenants::new(good.collect())
    }

    /// Every mistake, in the order of files and lines; none: all may be used.
    pub fn all_problems(&self) -> Vec<Problem> {
        self.problems(&BTreeMap::new())
    }

    /// The mistakes, given which file each standing document belongs to.
    fn problems(&self, standing: &BTreeMap<WorkloadId, PathBuf>) -> Vec<Problem> {
        let mut problems = self.unreadable.clone();
        let owners = self.owners(standing);
        let mut first: BTreeMap<&WorkloadId, &Place> = BTreeMap::new();
        for owned in [true, false] {
            for document in &self.documents {
                let Some(id) = document.id.as_ref().filter(|id| (owners.get(*id) == Some(&document.file)) == owned)
                else {
                    continue;
                };
                match first.get(id) {
                    Some(other) => problems.push(Problem {
                        place: document.place.clone(),
                        stage: Step::Manifest,
                        message: format!("a second document of {id}; the first is at {other}"),
                        hint: "give one of them another name or namespace, or remove it".into(),
                    }),
                    None => drop(first.insert(id, &document.place)),
                }
            }
        }
        problems
            .extend(self.documents.iter().filter_map(|document| document.outcome.as_ref().err()).flatten().cloned());
        problems.extend(tenant::problems(&self.tenants));
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems
    }

    /// Which file each document belongs to where several have it: the one in which it stands, else the first.
    fn owners(&self, standing: &BTreeMap<WorkloadId, PathBuf>) -> BTreeMap<WorkloadId, PathBuf> {
        let mut owners: BTreeMap<WorkloadId, PathBuf> = BTreeMap::new();
        for document in &self.documents {
            let Some(id) = &document.id else { continue };
            if standing.get(id) == Some(&document.file) || !owners.contains_key(id) {
                owners.insert(id.clone(), document.file.clone());
            }
        }
        owners
    }
}

/// Reads files, and the `*.yaml` and `*.yml` of folders. Every mistake is in the answer; see [`Standing`] for what to do
/// with it.
pub fn load(paths: &[PathBuf]) -> Loaded {
    let files::Listing { files, problems, unclear } = files::list(paths);
    let mut loaded = Loaded { unreadable: problems, unclear, ..Loaded::default() };
    for file in files {
        match files::text(&file) {
            Ok(text) => loaded.read(file, &text),
            Err(problem) => {
                loaded.unreadable.push(problem);
                // A file that is not there any more was taken away, and its documents with it. One that cannot be asked
                // may still be there.
                let gone = file.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
                if !gone {
                    loaded.unclear.push(file);
                }
            }
        }
    }
    loaded
}

impl Loaded {
    fn read(&mut self, file: PathBuf, text: &str) {
        let name: Arc<str> = file.to_string_lossy().into();
        let texts = tree::documents(&name, text);
        if texts.is_empty() {
            self.unreadable.push(files::problem(
                &file,
                "no document in this file".into(),
                "write a manifest, or remove the file",
            ));
            self.unclear.push(file);
            return;
        }
        let mut clear = true;
        for tree::Text { root, mut report, whole } in texts {
            if let Some(root) = root.as_ref().filter(|root| tenant::is_one(root)) {
                let document = tenant::read(root, report, &file);
                clear &= whole && document.outcome.is_ok();
                self.tenants.push(document);
                continue;
            }
            let id = root.as_ref().and_then(build::id);
            let built = root.as_ref().and_then(|root| build::scaler(root, &mut report));
            let place = report.place(root.as_ref().map_or(Spot { line: 1, column: 1 }, |root| root.spot));
            let problems = report.finish();
            let outcome = match built {
                Some(scaler) if problems.is_empty() => Ok(Arc::new(scaler)),
                _ => Err(problems),
            };
            clear &= whole && outcome.is_ok();
            self.documents.push(Document { id, file: file.clone(), place, outcome });
        }
        if !clear {
            self.unclear.push(file);
        }
    }
}
