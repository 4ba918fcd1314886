//! How one name stands: its good versions, the file looked at last, and what workloads made of them.
//!
//! For: deciding, from what is known, which version serves and what is said about it. Never reads or compiles.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use trimtab_sandbox::{Admitted, Refusal};

use super::file::Stamp;
use super::scan::Found;
use super::{Candidate, Entry, Key, Origin, State};

/// Good versions kept of a name, beside those that workloads have taken.
const VERSIONS: usize = 4;
/// Refusals remembered of one workload for one name.
const REFUSALS: usize = 8;

/// A good version of a name.
pub(super) struct Version {
    pub(super) admitted: Admitted,
    /// The directory it came from.
    pub(super) root: PathBuf,
}

/// The file looked at last.
pub(super) struct Seen {
    pub(super) found: Found,
    pub(super) stamp: Option<Stamp>,
    /// Look again although the stamp is the same: from then on.
    pub(super) again: Option<Instant>,
}

impl Seen {
    /// True: a file with this stamp was looked at.
    pub(super) fn is(&self, found: &Found, stamp: Option<Stamp>) -> bool {
        self.found == *found && self.stamp == stamp
    }
}

/// All that is known of a name.
#[derive(Default)]
pub(super) struct Name {
    /// Newest first.
    pub(super) versions: Vec<Version>,
    pub(super) seen: Option<Seen>,
    /// The digest of what lies there, while it is being compiled.
    pub(super) pending: Option<String>,
    /// How it stood before it was forgotten, and is shown until what lies there is compiled.
    pub(super) meanwhile: Option<Entry>,
    /// Why what lies there is not what serves.
    pub(super) problem: Option<Refusal>,
    /// The last event, so that the same is not told twice.
    pub(super) told: Option<(&'static str, &'static str, String)>,
    /// By workload.
    pub(super) verdicts: BTreeMap<String, Verdict>,
}

/// What a workload made of the versions of a name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The digest it runs.
    taken: Option<String>,
    /// Digest and reason of those it would not run, oldest first.
    refused: Vec<(String, String)>,
}

impl Verdict {
    /// Takes in what the workload made of a version: taken, or refused and why.
    pub(super) fn hear(&mut self, digest: String, refused: Option<String>) {
        self.refused.retain(|(known, _)| *known != digest);
        match refused {
            None => self.taken = Some(digest),
            Some(why) => {
                self.taken.take_if(|taken| *taken == digest);
                self.refused.push((digest, why));
                if self.refused.len() > REFUSALS {
                    self.refused.remove(0);
                }
            }
        }
    }
}

impl Name {
    /// Drops the versions, and what is known of the file.
    pub(super) fn forget(&mut self) {
        *self = Name { verdicts: std::mem::take(&mut self.verdicts), ..Name::default() };
    }

    /// Drops versions too old to matter, but none that a workload runs.
    pub(super) fn prune(&mut self) {
        let taken: Vec<&String> = self.verdicts.values().filter_map(|verdict| verdict.taken.as_ref()).collect();
        let mut newer = 0;
        self.versions.retain(|version| {
            newer += 1;
            newer <= VERSIONS || taken.iter().any(|digest| *digest == version.admitted.digest())
        });
    }
}

/// How a name stands, given what it shadows.
pub(super) fn entry(key: &Key, name: &Name, shadowed: Vec<Candidate>) -> Entry {
    let own = name.versions.iter().map(|version| Candidate::found(version.admitted.clone()));
    let mut candidates: Vec<Candidate> = Vec::new();
    for candidate in own.chain(shadowed) {
        if !candidates.iter().any(|known| known.digest() == candidate.digest()) {
            candidates.push(candidate);
        }
    }
    let newest = candidates.first().map_or("", Candidate::digest).to_owned();
    let refusals: Vec<String> = name
        .verdicts
        .iter()
        .flat_map(|(workload, verdict)| verdict.refused.iter().map(move |(digest, why)| (workload, digest, why)))
        .filter(|(_, digest, _)| **digest == newest)
        .map(|(workload, _, why)| format!("{workload} refuses it: {why}"))
        .collect();
    let takers = name.verdicts.values().filter(|verdict| verdict.taken.as_ref() == Some(&newest)).count();
    let all_refuse = !refusals.is_empty() && takers == 0;
    let serving = candidates.get(usize::from(all_refuse && candidates.len() > 1));
    let problem = name.problem.as_ref().map(ToString::to_string);
    let state = match serving {
        None => State::Failed,
        Some(_) if problem.is_some() || all_refuse => State::LastGood,
        Some(_) => State::Ok,
    };
    Entry {
        key: key.clone(),
        digest: serving.map_or_else(String::new, |candidate| candidate.digest().to_owned()),
        source: serving.map_or(Origin::Directory, Candidate::origin),
        state,
        problem: name.problem.clone(),
        message: problem.into_iter().chain(refusals).collect::<Vec<_>>().join("; "),
        candidates,
    }
}
