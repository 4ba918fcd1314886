//! The SQLite file: its schema, reading everything, writing one batch.
//!
//! For: the only place that speaks SQL. Never called on the path of a tick: the start of the daemon and the writer's thread
//! are its only users.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, params};
use trimtab_control::config::WorkloadId;
use trimtab_control::saved::{SavedState, Slot};
use trimtab_control::time::Time;

use super::{AUDIT_LINES, AuditLine, Kept, Record, StoreError};

/// The schema this program writes.
pub(super) const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE workloads (namespace TEXT, name TEXT, facts TEXT NOT NULL, PRIMARY KEY (namespace, name));
    CREATE TABLE states (
        namespace TEXT, name TEXT, stage TEXT, slot TEXT, previous INTEGER, version INTEGER NOT NULL,
        digest TEXT NOT NULL, good INTEGER NOT NULL, bytes BLOB NOT NULL,
        PRIMARY KEY (namespace, name, stage, slot, previous));
    CREATE TABLE records (kind TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, key));
    CREATE TABLE audit (id INTEGER PRIMARY KEY, workload TEXT NOT NULL, at INTEGER NOT NULL, line TEXT NOT NULL);
";

/// Everything there is, in memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) workloads: BTreeMap<WorkloadId, Arc<Kept>>,
    pub(super) records: BTreeMap<(Record, String), String>,
    pub(super) lines: VecDeque<AuditLine>,
}

/// What changed: the newest value of each key, none where it was forgotten.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) workloads: Vec<(WorkloadId, Option<Arc<Kept>>)>,
    pub(super) records: Vec<((Record, String), Option<String>)>,
    pub(super) lines: Vec<AuditLine>,
}

/// How a batch fared.
#[derive(Debug)]
pub(super) enum WriteFailure {
    /// Try again later.
    Later(StoreError),
    /// The file was broken, and a new one took its place: everything held has to be written again.
    Replaced(StoreError),
}

/// The file, or the promise to open it at the next write.
#[derive(Debug)]
pub(super) struct Database {
    file: PathBuf,
    connection: Option<Connection>,
    /// Device and inode of the file that the connection writes to.
    opened: Option<(u64, u64)>,
}

/// Why the file cannot be used.
enum OpenFailure {
    Sqlite(rusqlite::Error),
    Newer(i64),
}

impl From<rusqlite::Error> for OpenFailure {
    fn from(error: rusqlite::Error) -> Self {
        OpenFailure::Sqlite(error)
    }
}

impl Database {
    /// Opens the file and reads it whole. A broken file is moved aside; one that can only be read now (a full disk) is
    /// read, and opened again at each write. Either is told beside the result. One that is there and cannot be read is an
    /// error: to go on without it would be to forget cooldowns and replicas, and to write over it later.
    pub(super) fn open(file: &Path) -> Result<(Database, Held, Option<StoreError>), StoreError> {
        let read = connect(file).and_then(|connection| Ok((read_all(&connection)?, connection)));
        let (connection, held, repaired) = match read {
            Ok((held, connection)) => (Some(connection), held, None),
            Err(OpenFailure::Newer(found)) => {
                return Err(StoreError::Newer { place: file.into(), found, known: SCHEMA_VERSION });
            }
            Err(OpenFailure::Sqlite(error)) if is_broken(&error) => {
                let told = move_aside(file, &error);
                (connect(file).ok(), Held::default(), Some(told))
            }
            Err(OpenFailure::Sqlite(error)) => {
                let there = std::fs::metadata(file).is_ok_and(|found| found.len() > 0);
                let held = if there { read_only(file) } else { Ok(Held::default()) };
                let unread = |e: rusqlite::Error| StoreError::Unopened { place: file.into(), message: e.to_string() };
                (None, held.map_err(unread)?, Some(unwritable(file, &error)))
            }
        };
        Ok((Database { file: file.into(), connection, opened: which(file) }, held, repaired))
    }

    /// Writes a batch, whole or not at all.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), WriteFailure> {
        // The open handle would go on writing to a file that nobody can read any more.
        if self.connection.is_some() && which(&self.file) != self.opened {
            self.connection = None;
            let message = "it was deleted or replaced".to_owned();
            return Err(WriteFailure::Replaced(StoreError::Write { place: self.file.clone(), message }));
        }
        let error = match self.try_write(batch) {
            Ok(()) => return Ok(()),
            Err(OpenFailure::Sqlite(error)) => error,
            Err(OpenFailure::Newer(found)) => {
                let place = self.file.clone();
                return Err(WriteFailure::Later(StoreError::Newer { place, found, known: SCHEMA_VERSION }));
            }
        };
        if is_broken(&error) {
            self.connection = None;
            return Err(WriteFailure::Replaced(move_aside(&self.file, &error)));
        }
        Err(WriteFailure::Later(unwritable(&self.file, &error)))
    }

    fn try_write(&mut self, batch: &Batch) -> Result<(), OpenFailure> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = none.insert(connect(&self.file)?);
                self.opened = which(&self.file);
                connection
            }
        };
        let transaction = connection.transaction()?;
        for (id, kept) in &batch.workloads {
            write_workload(&transaction, id, kept.as_deref())?;
        }
        for ((kind, key), value) in &batch.records {
            let kind = kind.as_str();
            match value {
                Some(value) => transaction
                    .prepare_cached("INSERT OR REPLACE INTO records (kind, key, value) VALUES (?1, ?2, ?3)")?
                    .execute(params![kind, key, value])?,
                None => transaction
                    .prepare_cached("DELETE FROM records WHERE kind = ?1 AND key = ?2")?
                    .execute(params![kind, key])?,
            };
        }
        for line in &batch.lines {
            transaction
                .prepare_cached("INSERT INTO audit (workload, at, line) VALUES (?1, ?2, ?3)")?
                .execute(params![line.workload, line.at.0.cast_signed(), line.line])?;
        }
        if !batch.lines.is_empty() {
            let oldest = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1";
            transaction.prepare_cached(oldest)?.execute(params![AUDIT_LINES as i64])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Device and inode.
fn which(file: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

fn connect(file: &Path) -> Result<Connection, OpenFailure> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA_VERSION {
        return Err(OpenFailure::Newer(found));
    }
    if found == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// Reads a file that nothing can be written beside. A log of writes that it may have needs its index, which may not be
/// there; where there is no such log, SQLite is told that it needs none.
fn read_only(file: &Path) -> rusqlite::Result<Held> {
    let log = std::fs::metadata(beside(file, "-wal")).map_or(0, |found| found.len());
    let escaped = file.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let immutable = if log == 0 { "&immutable=1" } else { "" };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{escaped}?mode=ro{immutable}"), flags)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    read_all(&connection)
}

fn write_workload(transaction: &Transaction<'_>, id: &WorkloadId, kept: Option<&Kept>) -> rusqlite::Result<()> {
    let (namespace, name) = (&id.namespace, &id.name);
    transaction
        .prepare_cached("DELETE FROM states WHERE namespace = ?1 AND name = ?2")?
        .execute(params![namespace, name])?;
    let Some(kept) = kept else {
        let forget = "DELETE FROM workloads WHERE namespace = ?1 AND name = ?2";
        return transaction.prepare_cached(forget)?.execute(params![namespace, name]).map(drop);
    };
    transaction
        .prepare_cached("INSERT OR REPLACE INTO workloads (namespace, name, facts) VALUES (?1, ?2, ?3)")?
        .execute(params![namespace, name, kept.facts])?;
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO states (namespace, name, stage, slot, previous, version, digest, good, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for state in &kept.states {
        let slot = state.slot.as_str();
        let SavedState { stage, previous, version, digest, good, bytes, .. } = state;
        insert.execute(params![namespace, name, stage, slot, previous, version, digest, good, bytes])?;
    }
    Ok(())
}

fn read_all(connection: &Connection) -> rusqlite::Result<Held> {
    // Pages that the queries below do not touch can be broken too, and would stop a write much later.
    let sound: Option<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).optional()?;
    if sound.as_deref() != Some("ok") {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, sound));
    }
    let mut states: BTreeMap<WorkloadId, Vec<SavedState>> = BTreeMap::new();
    let mut query = connection.prepare(
        "SELECT namespace, name, stage, slot, previous, version, digest, good, bytes FROM states
         ORDER BY namespace, name, stage, slot, previous",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let slot: String = row.get(3)?;
        let slot = Slot::ALL.into_iter().find(|known| known.as_str() == slot).unwrap_or(Slot::Stage);
        let id = WorkloadId { namespace: row.get(0)?, name: row.get(1)? };
        states.entry(id).or_default().push(SavedState {
            stage: row.get(2)?,
            slot,
            previous: row.get(4)?,
            version: row.get(5)?,
            digest: row.get(6)?,
            good: row.get(7)?,
            bytes: row.get(8)?,
        });
    }
    let mut held = Held::default();
    let mut query = connection.prepare("SELECT namespace, name, facts FROM workloads")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id = WorkloadId { namespace: row.get(0)?, name: row.get(1)? };
        let states = states.remove(&id).unwrap_or_default();
        held.workloads.insert(id, Arc::new(Kept { facts: row.get(2)?, states }));
    }
    let mut query = connection.prepare("SELECT kind, key, value FROM records")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let kind: String = row.get(0)?;
        let kinds: BTreeSet<Record> = [Record::Pool, Record::Replica, Record::Webhook, Record::DryRun].into();
        if let Some(kind) = kinds.into_iter().find(|k| k.as_str() == kind) {
            held.records.insert((kind, row.get(1)?), row.get(2)?);
        }
    }
    let mut query = connection.prepare("SELECT workload, at, line FROM audit ORDER BY id")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let at = Time(row.get::<_, i64>(1)?.cast_unsigned());
        held.lines.push_back(AuditLine { workload: row.get(0)?, at, line: row.get(2)? });
    }
    Ok(held)
}

fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        // A table or column that is not there, or a value of another type: somebody else's file.
        || matches!(error, rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..))
        || matches!(error, rusqlite::Error::SqlInputError { .. })
        || matches!(error, rusqlite::Error::SqliteFailure(code, Some(text))
            if code.code == ErrorCode::Unknown && (text.contains("no such") || text.contains("already exists")))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// Moves the file and its write-ahead log away; the broken file before it is replaced, so that they do not pile up.
fn move_aside(file: &Path, error: &rusqlite::Error) -> StoreError {
    let moved = beside(file, ".broken");
    for suffix in ["-wal", "-shm"] {
        // Absent more often than not. One left behind is ignored by SQLite: its salt does not fit the new file.
        let _ = std::fs::rename(beside(file, suffix), beside(file, &format!(".broken{suffix}")));
    }
    if let Err(stuck) = std::fs::rename(file, &moved) {
        return StoreError::Write {
            place: file.into(),
            message: format!("{error}; it cannot be moved aside: {stuck}"),
        };
    }
    StoreError::Corrupt { place: file.into(), moved, message: error.to_string() }
}

fn unwritable(file: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Write { place: file.into(), message: error.to_string() }
}
