//! From paths to text: which files there are, and what is in them.
//!
//! For: a file that cannot be read is a problem with a place, never a hang or a crash. Only regular files are read (a link
//! counts as what it leads to), only so much of them. Never parses.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::problem::{Place, Problem, Spot, Step};

/// Bytes of one file.
const LARGEST: u64 = 1 << 20;
/// Files of one folder.
const MOST: usize = 1_000;

/// The files that some paths name.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// A file itself; of a folder, its `*.yaml` and `*.yml` by name.
    pub(super) files: Vec<PathBuf>,
    /// Folders without a manifest, or that could not be looked at.
    pub(super) problems: Vec<Problem>,
    /// The latter.
    pub(super) unclear: Vec<PathBuf>,
}

pub(super) fn list(paths: &[PathBuf]) -> Listing {
    let mut list = Listing::default();
    for path in paths {
        if !path.is_dir() {
            list.files.push(path.clone());
            continue;
        }
        let (message, hint) = match folder(path) {
            Ok(found) if found.is_empty() => {
                let hint = "put *.yaml or *.yml files there, or name another path";
                list.problems.push(problem(path, "no manifest in this folder".into(), hint));
                continue;
            }
            Ok(found) if found.len() <= MOST => {
                list.files.extend(found);
                continue;
            }
            Ok(found) => (format!("{} manifests in one folder", found.len()), "at most 1000; use several folders"),
            Err(error) => (format!("cannot be read: {error}"), "check the path and its permissions"),
        };
        list.problems.push(problem(path, message, hint));
        list.unclear.push(path.clone());
    }
    let mut seen = std::collections::BTreeSet::new();
    list.files.retain(|file| seen.insert(file.clone()));
    list
}

fn folder(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let named = name.as_encoded_bytes();
        if !named.starts_with(b".") && (named.ends_with(b".yaml") || named.ends_with(b".yml")) {
            found.push(path.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, Problem> {
    let bytes = bytes(path)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        let start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&good[start..]).chars().count() + 1;
        let mut problem = problem(path, "not UTF-8 text".into(), "save the file as UTF-8");
        problem.place.spot = Spot { line: line as u32, column: column as u32 };
        problem
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

fn bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable =
        |error: std::io::Error| problem(path, format!("cannot be read: {error}"), "check the path and its permissions");
    // Without O_NONBLOCK, opening a named pipe would wait for a writer; it changes nothing for regular files.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(problem(path, "not a regular file".into(), "name a file or a folder of files"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(problem(path, "larger than 1 MiB".into(), "split the file"));
    }
    Ok(bytes)
}

/// A problem of the file as a whole.
pub(super) fn problem(path: &Path, message: String, hint: &str) -> Problem {
    Problem { place: Place::file(&path.to_string_lossy()), stage: Step::Read, message, hint: hint.to_owned() }
}
