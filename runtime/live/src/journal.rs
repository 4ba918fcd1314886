//! Journals: what controllers were given, in files below the state directory, and their way back.
//!
//! For: `spec.journal` of a manifest, and `trimtab replay`. One thread writes for all workloads, so that no tick waits for
//! a disk; what cannot be written ends a segment, is counted and said once, and the next segment begins with the whole
//! state. Bounded by the manifest's `maxSize`: the oldest segments go. Never decides, and never reads what it writes but
//! to see how the last segment ended.

mod flaw;
mod folder;
mod instead;
mod recorder;
mod rerun;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use trimtab_control::config::WorkloadId;
use trimtab_control::journal::frame::Begins;
use trimtab_control::time::Time;

pub use flaw::Flaw;
pub use folder::{Segment, Workload, workloads};
pub use instead::Instead;
pub use recorder::Recorder;
pub use rerun::{Difference, Period, Report, Rerun};

/// The smallest and the largest `maxSize`.
pub const SIZES: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 40;
/// Messages that wait for the writer.
const QUEUE: usize = 4_096;
/// Bytes that wait for the writer.
const QUEUE_BYTES: usize = 64 << 20;
/// What is on its way is written within this at the end, or lost.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why journals cannot be read. The text names the place and the fix.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No journal there.
    #[error("{place}: there is no journal there")]
    None {
        /// Where it was looked for.
        place: String,
    },
    /// A file or folder cannot be read.
    #[error("{place}: {source}")]
    Unreadable {
        /// Which.
        place: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A module's file, by its digest.
type Modules = BTreeMap<String, Arc<[u8]>>;

/// What the writer is told.
enum Message {
    /// A segment begins; one that is open ends.
    Open(Box<Begin>),
    /// A module that the segment names.
    Module { id: WorkloadId, digest: String, bytes: Arc<[u8]> },
    /// What was on a tape.
    Append { id: WorkloadId, taped: Vec<u8> },
    /// The segment ends, and none follows.
    Close { id: WorkloadId },
    /// Everything before this is written.
    Flush(oneshot::Sender<()>),
    /// End.
    Stop,
}

/// A segment that begins.
struct Begin {
    id: WorkloadId,
    at: Time,
    begins: Begins,
    snapshot: Vec<u8>,
    modules: Modules,
    /// Bytes of all segments of the workload, and those that this one will grow to.
    most: u64,
    limit: u64,
    link: Arc<Link>,
}

/// What the writer tells a workload.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The segment that is open cannot be written on.
    broken: AtomicBool,
    /// Why.
    why: Mutex<String>,
}

/// The way to the thread that writes. Clones share it.
#[derive(Clone)]
pub struct Journals {
    inner: Arc<Inner>,
}

struct Inner {
    messages: SyncSender<Message>,
    /// Bytes on their way.
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Journals {
    /// Starts the thread; `state` is the state directory.
    pub fn start(state: &Path) -> std::io::Result<Journals> {
        let (messages, inbox) = sync_channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (root, theirs) = (state.join("journal"), Arc::clone(&waiting));
        let body = move || writer::run(&root, &inbox, &theirs);
        let thread = Some(std::thread::Builder::new().name("journal".into()).spawn(body)?);
        Ok(Journals { inner: Arc::new(Inner { messages, waiting, thread }) })
    }

    /// False: there is no room, and it is lost.
    fn tell(&self, message: Message) -> bool {
        let bytes = weight(&message);
        if self.inner.waiting.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > QUEUE_BYTES.max(bytes) {
            self.inner.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        match self.inner.messages.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.inner.waiting.fetch_sub(bytes, Ordering::Relaxed);
                false
            }
        }
    }

    /// Waits until everything told so far is written, or could not be.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.tell(Message::Flush(done)) {
            let _ = written.await;
        }
    }
}

impl Journals {
    /// The same, outside of a runtime.
    pub fn flush_blocking(&self) {
        let (done, written) = oneshot::channel();
        // A full queue is emptied meanwhile.
        if self.inner.messages.send(Message::Flush(done)).is_ok() {
            let _ = written.blocking_recv();
        }
    }
}

fn weight(message: &Message) -> usize {
    match message {
        Message::Open(begin) => begin.snapshot.len(),
        Message::Append { taped, .. } => taped.len(),
        _ => 0,
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let latest = Instant::now() + LAST_WORDS;
        // A full queue is emptied meanwhile; a disk that hangs is not waited for.
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < latest {
            let _ = self.messages.try_send(Message::Stop);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
