//! Where journals lie: `STATE/journal/NS/NAME/NNNNNN.journal`, and the modules of that time in `STATE/journal/modules`.
//!
//! For: one place that knows names of files. Beside each segment lies a list of the modules it names, so that a module is
//! deleted when no segment names it, without reading any. Never looks into a segment.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use trimtab_control::config::WorkloadId;
use trimtab_sandbox::digest_of;

use super::JournalError;

const SEGMENT: &str = "journal";
const NAMED: &str = "modules";

/// The folder of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Whose it is, by the names of the folders.
    pub id: WorkloadId,
    /// Where it is.
    pub path: PathBuf,
    /// Where the modules of that time are.
    pub modules: PathBuf,
}

/// A file of a journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
}

impl Workload {
    pub(super) fn of(root: &Path, id: &WorkloadId) -> Workload {
        // Names are those of Kubernetes: neither a separator nor a dot can be in them.
        let path = root.join(&id.namespace).join(&id.name);
        Workload { id: id.clone(), path, modules: root.join("modules") }
    }

    /// Its segments, oldest first.
    pub fn segments(&self) -> io::Result<Vec<Segment>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            if let Some(number) = number.filter(|_| path.extension().is_some_and(|e| e == SEGMENT)) {
                found.push(Segment { number, path });
            }
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:06}.{SEGMENT}"))
    }

    /// Deletes the oldest segments until no more than `most` bytes are left. True: there were some.
    pub(super) fn shrink_to(&self, most: u64) -> io::Result<bool> {
        let mut sizes = Vec::new();
        for segment in self.segments()? {
            let bytes = fs::metadata(&segment.path)?.len();
            sizes.push((segment, bytes));
        }
        let mut total: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
        let mut deleted = false;
        for (segment, bytes) in sizes {
            if total <= most {
                break;
            }
            fs::remove_file(&segment.path)?;
            // Without its segment a list is only a name too many.
            let _ = fs::remove_file(segment.path.with_extension(NAMED));
            total -= bytes;
            deleted = true;
        }
        Ok(deleted)
    }
}

/// The journals at a place: a state directory, its `journal` folder, or the folder of one workload.
pub fn workloads(place: &Path) -> Result<Vec<Workload>, JournalError> {
    let unreadable = |source: io::Error| JournalError::Unreadable { place: place.display().to_string(), source };
    // The names of the folders around it count, also for `.`.
    let place = &place.canonicalize().map_err(unreadable)?;
    let own = Workload { id: id_of(place), path: place.clone(), modules: beside(place) };
    if !own.segments().map_err(unreadable)?.is_empty() {
        return Ok(vec![own]);
    }
    let root = if place.join("journal").is_dir() { place.join("journal") } else { place.clone() };
    let mut found = all(&root).map_err(unreadable)?;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    if found.is_empty() {
        return Err(JournalError::None { place: place.display().to_string() });
    }
    Ok(found)
}

fn id_of(place: &Path) -> WorkloadId {
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_name).map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    WorkloadId { namespace: name(place.parent()), name: name(Some(place)) }
}

fn beside(place: &Path) -> PathBuf {
    place.parent().and_then(Path::parent).unwrap_or(place).join("modules")
}

fn all(root: &Path) -> io::Result<Vec<Workload>> {
    let mut found = Vec::new();
    for namespace in folders(root)? {
        for path in folders(&namespace)? {
            let workload = Workload { id: id_of(&path), path, modules: root.join("modules") };
            if !workload.segments()?.is_empty() {
                found.push(workload);
            }
        }
    }
    Ok(found)
}

fn folders(place: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The file of a module; none for what is no digest, so that no digest can point elsewhere.
fn module_path(modules: &Path, digest: &str) -> Option<PathBuf> {
    let hex = digest.strip_prefix("sha256:").filter(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some(modules.join(format!("{hex}.wasm")))
}

/// Keeps a module of which only its digest counts.
pub(super) fn keep_module(modules: &Path, digest: &str, bytes: &[u8]) -> io::Result<()> {
    let Some(path) = module_path(modules, digest) else { return Ok(()) };
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(modules)?;
    write_whole(&path, bytes)
}

/// The bytes of a module, which still have its digest.
pub(super) fn module(modules: &Path, digest: &str) -> io::Result<Vec<u8>> {
    let path = module_path(modules, digest).ok_or(io::ErrorKind::NotFound)?;
    let bytes = fs::read(path)?;
    if digest_of(&bytes) == digest {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged: it does not have its digest any more"))
}

/// Writes the list of modules that a segment names.
pub(super) fn name_modules(segment: &Path, digests: &BTreeSet<String>) -> io::Result<()> {
    let lines: Vec<&str> = digests.iter().map(String::as_str).collect();
    write_whole(&segment.with_extension(NAMED), lines.join("\n").as_bytes())
}

/// Deletes the modules that no segment of any workload names. A list that cannot be read keeps them all.
pub(super) fn sweep_modules(root: &Path) -> io::Result<()> {
    let mut named = BTreeSet::new();
    for workload in all(root)? {
        for segment in workload.segments()? {
            named.extend(fs::read_to_string(segment.path.with_extension(NAMED))?.lines().map(str::to_owned));
        }
    }
    let modules = root.join("modules");
    let stays: BTreeSet<PathBuf> = named.iter().filter_map(|digest| module_path(&modules, digest)).collect();
    for entry in fs::read_dir(&modules)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "wasm" || e == "new") && !stays.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Under a temporary name, then renamed: a reader sees the old file or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
