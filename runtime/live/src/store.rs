//! What the daemon remembers over a restart: one SQLite file in the state directory.
//!
//! For: controllers' memory and policy states, what process targets intend and run, generations of webhooks, audit lines.
//! Everything is held in memory as well and written behind by one thread, so that a full disk or a broken file costs
//! durability and never a tick. Never interprets what it keeps.

mod database;
mod lock;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use trimtab_control::config::WorkloadId;
use trimtab_control::saved::{Saved, SavedFacts, SavedState};
use trimtab_control::time::Time;

use database::Database;
use lock::DirectoryLock;
pub(crate) use lock::random_hex;
use writer::Writer;

/// Audit lines that are kept, the newest.
pub const AUDIT_LINES: usize = 1000;

/// Why something could not be kept or read. The text names the place and the fix.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be used at all.
    #[error(
        "state directory {place}: {source}; make it a directory that this user can write, or name another with --state"
    )]
    Directory {
        /// Which.
        place: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// Another daemon has it.
    #[error(
        "state directory {place} is in use by another daemon (process {holder}); stop that one, or name another directory with --state"
    )]
    InUse {
        /// Which.
        place: PathBuf,
        /// Its process id, as it wrote it down; `unknown` where it did not.
        holder: String,
    },
    /// Written by a later version of this program.
    #[error(
        "state file {place} has schema version {found}, this program knows up to {known}; use the newer program, or move the file away"
    )]
    Newer {
        /// The file.
        place: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file was broken; it was moved aside, and an empty one took its place.
    #[error(
        "state file {place} was broken ({message}); it was moved to {moved}, and the daemon goes on with an empty one"
    )]
    Corrupt {
        /// The file.
        place: PathBuf,
        /// Where it is now.
        moved: PathBuf,
        /// What SQLite said.
        message: String,
    },
    /// The file is there and cannot be read now.
    #[error(
        "state file {place} cannot be read ({message}); free space or repair its permissions, or move it away to start without memory"
    )]
    Unopened {
        /// The file.
        place: PathBuf,
        /// What SQLite said.
        message: String,
    },
    /// Something kept cannot be read back.
    #[error("state file {place}: what was kept of {what} cannot be read ({message}); it counts as never kept")]
    Unreadable {
        /// The file.
        place: PathBuf,
        /// Of what.
        what: String,
        /// Why.
        message: String,
    },
    /// A write failed; it is tried again.
    #[error(
        "state file {place} cannot be written ({message}); free space or repair its permissions: nothing is lost while the daemon runs, and the write is tried again"
    )]
    Write {
        /// The file.
        place: PathBuf,
        /// What SQLite said.
        message: String,
    },
}

/// A kind of small record, each with its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Record {
    /// What was asked of a pool of processes; key `NS/NAME/POOL`.
    Pool,
    /// A replica that is intended or runs; key: its token.
    Replica,
    /// What was last asked of a webhook; key `NS/NAME/POOL`.
    Webhook,
    /// How many replicas a dry-run pool has; key `NS/NAME/POOL`.
    DryRun,
}

impl Record {
    fn as_str(self) -> &'static str {
        match self {
            Record::Pool => "pool",
            Record::Replica => "replica",
            Record::Webhook => "webhook",
            Record::DryRun => "dry-run",
        }
    }
}

/// What a person, or the daemon on its own, did to a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Which workload, `NS/NAME`.
    pub workload: String,
    /// When.
    pub at: Time,
    /// One line.
    pub line: String,
}

/// The store. Clones share it; the directory is let go with the last one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    file: PathBuf,
    repaired: Option<StoreError>,
    writer: Writer,
    // Dropped last: the writer's thread has ended by then.
    lock: DirectoryLock,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("file", &self.inner.file).finish_non_exhaustive()
    }
}

impl Store {
    /// Takes the directory (created when absent) for this process and reads what it holds. Blocks: for the start of the
    /// daemon. A broken file is moved aside, see [`Store::repaired`]; a file that cannot be written is read all the same.
    pub fn open(directory: &Path) -> Result<Store, StoreError> {
        let at_place =
            |source: std::io::Error| StoreError::Directory { place: directory.into(), source: Arc::new(source) };
        std::fs::create_dir_all(directory).map_err(at_place)?;
        let directory = directory.canonicalize().map_err(at_place)?;
        let lock = DirectoryLock::take(&directory)?;
        let file = directory.join("state.db");
        let (database, held, repaired) = Database::open(&file)?;
        let writer = Writer::start(database, held).map_err(at_place)?;
        Ok(Store { inner: Arc::new(Inner { directory, file, repaired, writer, lock }) })
    }

    /// Where it keeps everything, as an absolute path.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Names this directory among all: random, made with the directory, outlives a broken state file.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.inner.lock.identity
    }

    /// What had to be repaired when it was opened.
    #[must_use]
    pub fn repaired(&self) -> Option<&StoreError> {
        self.inner.repaired.as_ref()
    }

    /// Why the newest write failed; none: it did not.
    #[must_use]
    pub fn failing(&self) -> Option<StoreError> {
        self.inner.writer.failing()
    }

    /// What was kept of a workload. An error: something was, and cannot be read.
    pub fn load(&self, id: &WorkloadId) -> Result<Option<Saved>, StoreError> {
        let Some(kept) = self.inner.writer.workload(id) else { return Ok(None) };
        let facts: SavedFacts =
            serde_json::from_str(&kept.facts).map_err(|e| self.unreadable(id.to_string(), e.to_string()))?;
        Ok(Some(Saved { facts, states: kept.states.clone() }))
    }

    /// Keeps a workload's memory; the newest of several wins. Returns at once: an error is that of the newest write,
    /// and what is given here is kept in memory and tried again.
    pub fn save(&self, id: &WorkloadId, saved: &Saved) -> Result<(), StoreError> {
        let facts = serde_json::to_string(&saved.facts).map_err(|e| self.unreadable(id.to_string(), e.to_string()))?;
        self.inner.writer.keep_workload(id, Arc::new(Kept { facts, states: saved.states.clone() }));
        self.failing().map_or(Ok(()), Err)
    }

    /// Forgets a workload's memory.
    pub fn forget(&self, id: &WorkloadId) {
        self.inner.writer.forget_workload(id);
    }

    /// Keeps an audit line; the newest thousand stay. Returns at once, as [`Store::save`] does.
    pub fn audit(&self, id: &WorkloadId, at: Time, line: &str) -> Result<(), StoreError> {
        self.inner.writer.add_line(AuditLine { workload: id.to_string(), at, line: line.into() });
        self.failing().map_or(Ok(()), Err)
    }

    /// The audit lines kept, oldest first.
    #[must_use]
    pub fn audit_lines(&self) -> Vec<AuditLine> {
        self.inner.writer.lines()
    }

    /// A small record.
    pub fn record<T: DeserializeOwned>(&self, kind: Record, key: &str) -> Result<Option<T>, StoreError> {
        self.inner.writer.record(kind, key).map(|text| self.parse(kind, key, &text)).transpose()
    }

    /// All records of a kind whose keys begin with `prefix`, in the order of their keys.
    pub fn records<T: DeserializeOwned>(&self, kind: Record, prefix: &str) -> Vec<(String, Result<T, StoreError>)> {
        let kept = self.inner.writer.records(kind, prefix);
        kept.into_iter()
            .map(|(key, text)| {
                let value = self.parse(kind, &key, &text);
                (key, value)
            })
            .collect()
    }

    /// Keeps a small record. Returns at once; [`Store::flush`] tells when it is written.
    pub fn put<T: Serialize>(&self, kind: Record, key: &str, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.inner.writer.keep_record(kind, key, Some(text)),
            // Our own plain records have string keys and finite numbers.
            Err(error) => tracing::error!(kind = kind.as_str(), key, %error, "a record cannot be written as JSON"),
        }
    }

    /// Forgets a small record.
    pub fn remove(&self, kind: Record, key: &str) {
        self.inner.writer.keep_record(kind, key, None);
    }

    /// Waits until everything given so far is in the file, or could not be written. It then outlives this process.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.inner.writer.flush().await
    }

    fn parse<T: DeserializeOwned>(&self, kind: Record, key: &str, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|e| self.unreadable(format!("{} {key}", kind.as_str()), e.to_string()))
    }

    fn unreadable(&self, what: String, message: String) -> StoreError {
        StoreError::Unreadable { place: self.inner.file.clone(), what, message }
    }
}

/// A workload's memory as it is kept.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    /// JSON text.
    facts: String,
    states: Vec<SavedState>,
}
