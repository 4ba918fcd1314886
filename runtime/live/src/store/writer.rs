//! Everything held in memory, and the thread that writes it behind.
//!
//! For: quick calls from any task, however slow the disk. Writes of one key coalesce, so what waits is bounded by what is
//! held. A failed batch stays marked and is tried again with the next change, or after five seconds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use trimtab_control::config::WorkloadId;

use super::database::{Batch, Database, Held, WriteFailure};
use super::{AUDIT_LINES, AuditLine, Kept, Record, StoreError};

/// Until a failed batch is tried again without a new change.
const RETRY: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    held: Held,
    workloads: BTreeSet<WorkloadId>,
    records: BTreeSet<(Record, String)>,
    /// Audit lines not yet written, the newest.
    lines: VecDeque<AuditLine>,
    /// Changes given so far.
    given: u64,
    closing: bool,
}

/// How far the thread has come.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Changes that were written, or that a write failed for.
    tried: u64,
    error: Option<StoreError>,
}

impl Writer {
    pub(super) fn start(database: Database, held: Held) -> std::io::Result<Writer> {
        let shared = Arc::new(Shared { state: Mutex::new(State { held, ..State::default() }), wake: Condvar::new() });
        let (report, progress) = watch::channel(Progress::default());
        let theirs = shared.clone();
        let thread =
            std::thread::Builder::new().name("store".into()).spawn(move || write_behind(&theirs, database, &report))?;
        Ok(Writer { shared, progress, thread: Some(thread) })
    }

    pub(super) fn failing(&self) -> Option<StoreError> {
        self.progress.borrow().error.clone()
    }

    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let given = self.shared.lock().given;
        let mut progress = self.progress.clone();
        match progress.wait_for(|p| p.tried >= given).await {
            Ok(reached) => reached.error.clone().map_or(Ok(()), Err),
            // The thread ends only with the writer, which outlives this borrow.
            Err(_) => Ok(()),
        }
    }

    pub(super) fn workload(&self, id: &WorkloadId) -> Option<Arc<Kept>> {
        self.shared.lock().held.workloads.get(id).cloned()
    }

    pub(super) fn keep_workload(&self, id: &WorkloadId, kept: Arc<Kept>) {
        self.change(|state| {
            state.held.workloads.insert(id.clone(), kept);
            state.workloads.insert(id.clone());
        });
    }

    pub(super) fn forget_workload(&self, id: &WorkloadId) {
        self.change(|state| {
            state.held.workloads.remove(id);
            state.workloads.insert(id.clone());
        });
    }

    pub(super) fn record(&self, kind: Record, key: &str) -> Option<String> {
        self.shared.lock().held.records.get(&(kind, key.to_owned())).cloned()
    }

    pub(super) fn records(&self, kind: Record, prefix: &str) -> Vec<(String, String)> {
        let state = self.shared.lock();
        let from = state.held.records.range((kind, prefix.to_owned())..);
        from.take_while(|((k, key), _)| *k == kind && key.starts_with(prefix))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }

    pub(super) fn keep_record(&self, kind: Record, key: &str, value: Option<String>) {
        let key = (kind, key.to_owned());
        self.change(|state| {
            match value {
                Some(value) => state.held.records.insert(key.clone(), value),
                None => state.held.records.remove(&key),
            };
            state.records.insert(key);
        });
    }

    pub(super) fn add_line(&self, line: AuditLine) {
        self.change(|state| {
            for lines in [&mut state.held.lines, &mut state.lines] {
                lines.push_back(line.clone());
                if lines.len() > AUDIT_LINES {
                    lines.pop_front();
                }
            }
        });
    }

    pub(super) fn lines(&self) -> Vec<AuditLine> {
        self.shared.lock().held.lines.iter().cloned().collect()
    }

    fn change(&self, make: impl FnOnce(&mut State)) {
        let mut state = self.shared.lock();
        make(&mut state);
        state.given += 1;
        drop(state);
        self.shared.wake.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is small and whole; after a panic elsewhere the maps are still what they say.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change newer than `tried`, the end, or (after a failure) some time. None: the end, all was tried.
    fn next(&self, tried: u64, failing: bool) -> Option<(Batch, u64)> {
        let mut state = self.lock();
        loop {
            if state.given > tried {
                return Some((state.take_batch(), state.given));
            }
            if state.closing {
                return None;
            }
            if failing {
                let (woken, timeout) = self.wake.wait_timeout(state, RETRY).unwrap_or_else(PoisonError::into_inner);
                state = woken;
                if timeout.timed_out() {
                    return Some((state.take_batch(), state.given));
                }
            } else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl State {
    fn take_batch(&mut self) -> Batch {
        let held = &self.held;
        let workloads = std::mem::take(&mut self.workloads);
        let records = std::mem::take(&mut self.records);
        Batch {
            workloads: workloads
                .into_iter()
                .map(|id| {
                    let kept = held.workloads.get(&id).cloned();
                    (id, kept)
                })
                .collect(),
            records: records
                .into_iter()
                .map(|key| {
                    let value = held.records.get(&key).cloned();
                    (key, value)
                })
                .collect(),
            lines: self.lines.drain(..).collect(),
        }
    }

    /// Marks a batch as not written; what has changed since then is newer and stays.
    fn give_back(&mut self, batch: Batch) {
        self.workloads.extend(batch.workloads.into_iter().map(|(id, _)| id));
        self.records.extend(batch.records.into_iter().map(|(key, _)| key));
        for line in batch.lines.into_iter().rev() {
            if self.lines.len() < AUDIT_LINES {
                self.lines.push_front(line);
            }
        }
    }

    fn mark_everything(&mut self) {
        self.workloads.extend(self.held.workloads.keys().cloned());
        self.records.extend(self.held.records.keys().cloned());
        self.lines.clone_from(&self.held.lines);
    }
}

fn write_behind(shared: &Shared, mut database: Database, report: &watch::Sender<Progress>) {
    let mut tried = 0;
    let mut failing = false;
    while let Some((mut batch, given)) = shared.next(tried, failing) {
        let mut written = database.write(&batch);
        if let Err(WriteFailure::Replaced(error)) = &written {
            tracing::error!(%error, "the state file was replaced");
            let mut state = shared.lock();
            state.mark_everything();
            // What fails now is everything, and everything has to be tried again.
            batch = state.take_batch();
            drop(state);
            written = database.write(&batch);
        }
        let error = match written {
            Ok(()) => None,
            Err(WriteFailure::Later(error) | WriteFailure::Replaced(error)) => {
                shared.lock().give_back(batch);
                Some(error)
            }
        };
        failing = error.is_some();
        tried = given;
        // Nobody listens once the store is closing.
        let _ = report.send(Progress { tried, error });
    }
}
