//! The thread that writes journals.
//!
//! For: files that a tick never waits for. A write that fails ends its segment, and the workload is told; nothing is
//! retried here, since what was lost is lost. Never holds more than is on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};

use trimtab_control::config::WorkloadId;
use trimtab_control::journal::frame::{Before, Begins, Framer, Opening, Records};

use super::folder::{self, Workload};
use super::{Begin, Link, Message, weight};

/// A segment that is being written.
struct Open {
    file: File,
    path: PathBuf,
    number: u64,
    framer: Framer,
    modules: BTreeSet<String>,
    link: Arc<Link>,
}

struct Writer<'a> {
    root: &'a Path,
    open: BTreeMap<WorkloadId, Open>,
    /// Workloads of which it was said that they cannot be written.
    failing: BTreeSet<WorkloadId>,
}

/// Writes until it is told to stop.
pub(super) fn run(root: &Path, inbox: &Receiver<Message>, waiting: &AtomicUsize) {
    let mut writer = Writer { root, open: BTreeMap::new(), failing: BTreeSet::new() };
    while let Ok(message) = inbox.recv() {
        let bytes = weight(&message);
        let (id, done) = match message {
            Message::Stop => break,
            Message::Flush(done) => {
                // Whoever asked may have gone.
                let _ = done.send(());
                continue;
            }
            Message::Open(begin) => (begin.id.clone(), writer.begin(*begin)),
            Message::Module { id, digest, bytes } => {
                let done = writer.module(&id, digest, &bytes);
                (id, done)
            }
            Message::Append { id, taped } => {
                let done = writer.append(&id, &taped);
                (id, done)
            }
            Message::Close { id } => {
                let done = writer.close(&id);
                (id, done)
            }
        };
        waiting.fetch_sub(bytes, Ordering::Relaxed);
        if let Err(error) = done {
            writer.fail(&id, &error);
        }
    }
    let left: Vec<WorkloadId> = writer.open.keys().cloned().collect();
    for id in left {
        // What could not be closed is read as cut off.
        let _ = writer.close(&id);
    }
}

impl Writer<'_> {
    fn begin(&mut self, begin: Begin) -> io::Result<()> {
        let Begin { id, at, begins, snapshot, modules, most, limit, link } = begin;
        let opened = self.open_next(&id, &begins);
        let (workload, number, before) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tell(&link, &error);
                return Err(error);
            }
        };
        let path = workload.segment(number);
        let write = || {
            for (digest, bytes) in &modules {
                folder::keep_module(&workload.modules, digest, bytes)?;
            }
            let digests: BTreeSet<String> = modules.keys().cloned().collect();
            folder::name_modules(&path, &digests)?;
            let mut framer = Framer::default();
            let opening = Opening {
                workload: id.clone(),
                segment: number,
                at,
                begins: begins.clone(),
                before,
                modules: modules.keys().cloned().collect(),
                build: env!("CARGO_PKG_VERSION").to_owned(),
            };
            let mut file = File::options().write(true).create_new(true).open(&path)?;
            file.write_all(&framer.opening(&opening, &snapshot))?;
            Ok(Open { file, path: path.clone(), number, framer, modules: digests, link: Arc::clone(&link) })
        };
        match write() {
            Ok(open) => drop(self.open.insert(id.clone(), open)),
            Err(error) => {
                tell(&link, &error);
                return Err(error);
            }
        }
        if self.failing.remove(&id) {
            tracing::info!(workload = %id, "the journal is written again");
        }
        if workload.shrink_to(most.saturating_sub(limit))?
            && let Err(error) = folder::sweep_modules(self.root)
        {
            tracing::warn!(workload = %id, %error, "modules of deleted segments were kept");
        }
        Ok(())
    }

    /// Ends what is open, and finds out where the next segment belongs.
    fn open_next(&mut self, id: &WorkloadId, begins: &Begins) -> io::Result<(Workload, u64, Option<Before>)> {
        let workload = Workload::of(self.root, id);
        fs::create_dir_all(&workload.path)?;
        let ended = match self.open.remove(id) {
            Some(open) => Some(end(open)?),
            None => None,
        };
        let last = workload.segments()?.pop();
        let before = match (&last, ended) {
            (Some(last), Some(before)) if before.segment == last.number => Some(before),
            (Some(last), _) if *begins == Begins::Start => look_at(&last.path, last.number),
            _ => None,
        };
        Ok((workload, last.map_or(1, |last| last.number + 1), before))
    }

    fn module(&mut self, id: &WorkloadId, digest: String, bytes: &[u8]) -> io::Result<()> {
        let Some(open) = self.open.get_mut(id) else { return Ok(()) };
        if open.modules.insert(digest.clone()) {
            folder::keep_module(&self.root.join("modules"), &digest, bytes)?;
            folder::name_modules(&open.path, &open.modules)?;
        }
        Ok(())
    }

    fn append(&mut self, id: &WorkloadId, taped: &[u8]) -> io::Result<()> {
        let Some(open) = self.open.get_mut(id) else { return Ok(()) };
        let record = open.framer.entries(taped);
        open.file.write_all(&record)
    }

    fn close(&mut self, id: &WorkloadId) -> io::Result<()> {
        self.open.remove(id).map_or(Ok(()), |open| end(open).map(drop))
    }

    /// The segment cannot be written on; what follows needs another.
    fn fail(&mut self, id: &WorkloadId, error: &io::Error) {
        if let Some(open) = self.open.remove(id) {
            tell(&open.link, error);
        }
        if self.failing.insert(id.clone()) {
            tracing::error!(
                workload = %id,
                "the journal cannot be written ({error}): nothing is recorded until it can; free space or repair permissions"
            );
        }
    }
}

fn tell(link: &Link, error: &io::Error) {
    *link.why.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
    link.broken.store(true, Ordering::SeqCst);
}

/// Writes the last record, and to the disk.
fn end(mut open: Open) -> io::Result<Before> {
    let record = open.framer.end();
    open.file.write_all(&record)?;
    open.file.sync_data()?;
    Ok(open.framer.before(open.number))
}

/// How a segment of an earlier process ended. None: it is damaged, which its reader will say.
fn look_at(path: &Path, number: u64) -> Option<Before> {
    let bytes = fs::read(path).ok()?;
    let mut records = Records::of(&bytes);
    while let Some(next) = records.next() {
        next.ok()?;
    }
    records.ending()?;
    Some(records.before(number))
}
