//! Finding replicas again after a restart of the daemon.
//!
//! For: joining the records of one pool with the processes of this host: by number and start time where they were
//! recorded, else by the token that each carries and the number of its start: a record may be older than what runs, where
//! the daemon was killed at once or the disk was full. A process that carries the marks of this pool and has no record (the
//! state file was lost) is a replica all the same. Of a replica whose process is gone, what that had started may be there.
//! Never starts, signals or ends anything. Blocks.

use std::cmp::Reverse;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::host::{self, Found, Marks};
use super::life::Process;
use super::record::{Identity, Kept, Phase};
use crate::store::{Record, Store};

/// For a process that an earlier daemon has just started to carry its new environment: the lock on the state directory
/// is let go an instant earlier.
const APPEAR: Duration = Duration::from_millis(100);

/// What was found of a replica that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trace {
    /// The process that was recorded.
    Runs(Identity),
    /// One that was started after the record was written.
    Later {
        process: Identity,
        port: u16,
        nth: u32,
    },
    /// Its process is gone; others that carry its token are not.
    Leftovers,
    Nothing,
}

/// What there is of a pool.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// This boot of the host.
    pub(super) boot: String,
    /// Every record, and what was found of it.
    pub(super) kept: Vec<(Kept, Trace)>,
    /// Those that run without a record.
    pub(super) strays: Vec<(Marks, Identity)>,
    /// Everything that runs, leftovers too, by the replica's name.
    pub(super) running: Vec<(String, Process)>,
}

/// The records of one pool's replicas. One that cannot be read counts as never kept.
pub(super) fn records(store: &Store, pool: &str) -> Vec<Kept> {
    let kept = store.records::<Kept>(Record::Replica, "").into_iter().filter_map(|(token, kept)| match kept {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!(token, %error, "a replica's record cannot be read; its process is found by its marks");
            None
        }
    });
    kept.filter(|kept| kept.pool == pool).collect()
}

/// Looks for the replicas of `pool` (`NS/NAME/POOL`). `log`: where the output of a replica is, by its name.
pub(super) fn adopt(pool: &str, state: &str, records: Vec<Kept>, log: &dyn Fn(&str) -> PathBuf) -> io::Result<Adopted> {
    let ours = || -> io::Result<Vec<Found>> {
        Ok(host::find(state)?.into_iter().filter(|found| found.marks.pool == pool).collect())
    };
    let mut found = ours()?;
    let started = |kept: &Kept| kept.phase != Phase::Intended || found.iter().any(|f| f.marks.token == kept.token);
    if !records.iter().all(started) {
        std::thread::sleep(APPEAR);
        found = ours()?;
    }
    let boot = host::boot_id();
    let mut adopted = Adopted { boot: boot.clone(), ..Adopted::default() };
    for kept in records {
        let (its, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.marks.token == kept.token);
        found = others;
        let (trace, process) = traced(&kept, &its, &boot, log);
        adopted.running.extend(process.map(|process| (kept.name.clone(), process)));
        adopted.kept.push((kept, trace));
    }
    found.retain(|found| found.leads);
    found.sort_by_key(age);
    for Found { pid, start, marks, .. } in found {
        let Some(process) = Process::adopt(pid, start, &marks.token, log(&marks.name)) else { continue };
        if !adopted.running.iter().any(|(name, _)| *name == marks.name) {
            adopted.strays.push((marks.clone(), identity(&process, &boot)));
            adopted.running.push((marks.name, process));
        }
    }
    Ok(adopted)
}

/// What there is of a replica: `its` carry its token.
fn traced(kept: &Kept, its: &[Found], boot: &str, log: &dyn Fn(&str) -> PathBuf) -> (Trace, Option<Process>) {
    if let Some(process) = recorded(kept, boot, log) {
        (Trace::Runs(identity(&process, boot)), Some(process))
    } else if let Some((process, port, nth)) = later(kept, its, log) {
        (Trace::Later { process: identity(&process, boot), port, nth }, Some(process))
    } else if its.is_empty() {
        (Trace::Nothing, None)
    } else {
        (Trace::Leftovers, Some(Process::leftovers(&kept.token, log(&kept.name))))
    }
}

/// The process that was recorded, if that very one runs.
fn recorded(kept: &Kept, boot: &str, log: &dyn Fn(&str) -> PathBuf) -> Option<Process> {
    let process = kept.process.as_ref().filter(|process| process.boot == boot)?;
    Process::adopt(process.pid, process.start, &kept.token, log(&kept.name))
}

/// The process of the newest start, where that is not the recorded one. What an earlier start has left behind may lead a
/// session too.
fn later(kept: &Kept, its: &[Found], log: &dyn Fn(&str) -> PathBuf) -> Option<(Process, u16, u32)> {
    let unknown = if kept.phase == Phase::Intended { kept.nth } else { kept.nth.saturating_add(1) };
    let later = |found: &&Found| found.leads && found.marks.nth >= unknown;
    let Found { pid, start, marks, .. } = its.iter().filter(later).min_by_key(|found| age(found))?;
    Some((Process::adopt(*pid, *start, &kept.token, log(&kept.name))?, marks.port, marks.nth))
}

/// The newest start before all others, and its first process before those that this has started.
fn age(found: &Found) -> (Reverse<u32>, u64, i32) {
    (Reverse(found.marks.nth), found.start, found.pid)
}

pub(super) fn identity(process: &Process, boot: &str) -> Identity {
    Identity { pid: process.pid, start: process.start, boot: boot.to_owned() }
}
