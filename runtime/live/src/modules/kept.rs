//! The last good versions, kept under the state directory.
//!
//! For: surviving a restart, and the deletion of the files they came from. Bytes lie under their digest and are checked
//! against it when read; every write goes to a temporary name first. Never holds compiled code.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trimtab_sandbox::digest_of;

use super::Key;

/// One version of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptVersion {
    pub(super) digest: String,
    /// The directory it came from.
    pub(super) root: PathBuf,
}

/// The versions of one name, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptName {
    pub(super) tenant: Option<String>,
    pub(super) name: String,
    pub(super) versions: Vec<KeptVersion>,
}

impl KeptName {
    pub(super) fn key(&self) -> Key {
        Key { tenant: self.tenant.clone(), name: self.name.clone() }
    }
}

/// The folder; none where nothing is to be kept.
pub(super) struct Kept {
    folder: Option<PathBuf>,
}

impl Kept {
    /// Uses `STATE/modules`.
    pub(super) fn new(state: Option<&Path>) -> Self {
        Kept { folder: state.map(|state| state.join("modules")) }
    }

    /// What was kept. A missing index is an empty one; a broken one is an error, and everything counts as new.
    pub(super) fn load(&self) -> io::Result<Vec<KeptName>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        match fs::read(folder.join("index.json")) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                // The next one is written in its place: whoever wants to know finds this one beside it.
                let _ = fs::rename(folder.join("index.json"), folder.join("index.json.broken"));
                error.into()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a digest, which they still have.
    pub(super) fn bytes(&self, digest: &str) -> io::Result<Vec<u8>> {
        let path = self.path(digest).ok_or(io::ErrorKind::NotFound)?;
        let bytes = fs::read(path)?;
        if digest_of(&bytes) == digest {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the kept bytes do not have their digest any more"))
        }
    }

    /// Keeps exactly these versions; `bytes_of` gives those that are not there yet.
    pub(super) fn save(&self, names: &[KeptName], bytes_of: impl Fn(&str) -> Option<Vec<u8>>) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        fs::create_dir_all(folder)?;
        let wanted: BTreeSet<&str> =
            names.iter().flat_map(|n| &n.versions).map(|version| version.digest.as_str()).collect();
        for digest in &wanted {
            let Some(path) = self.path(digest) else { continue };
            if !path.exists()
                && let Some(bytes) = bytes_of(digest)
            {
                write_whole(&path, &bytes)?;
            }
        }
        write_whole(&folder.join("index.json"), &serde_json::to_vec_pretty(names)?)?;
        let stays: BTreeSet<PathBuf> = wanted.iter().filter_map(|digest| self.path(digest)).collect();
        for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "wasm" || e == "new") && !stays.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// The file of a digest; none for what is no digest, so that an index cannot point elsewhere.
    fn path(&self, digest: &str) -> Option<PathBuf> {
        let hex =
            digest.strip_prefix("sha256:").filter(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.folder.as_ref().map(|folder| folder.join(format!("{hex}.wasm")))
    }
}

/// Writes under a temporary name, then renames: a reader sees the old file or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
