//! When to look at the directories.
//!
//! For: turning any storm of file events into one reconcile soon after it ends, and looking anyway where events are
//! missing. Never reads what an event says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::Request;
use super::loader::Loader;
use crate::hints::Hints;

/// Quiet time that ends a storm of events.
const DEBOUNCE: Duration = Duration::from_millis(150);
/// The longest a storm delays a look.
const DEBOUNCE_MAX: Duration = Duration::from_secs(1);
/// Looking without an event.
const RESCAN: Duration = Duration::from_secs(15);

/// Serves requests and hints until told to stop.
pub(super) fn run(loader: &mut Loader, inbox: &Receiver<Request>, dirs: &[PathBuf], requests: &Sender<Request>) {
    let pending = Arc::new(AtomicBool::new(false));
    let mut hints = hints(requests.clone(), Arc::clone(&pending));
    let mut watch = || dirs.iter().for_each(|dir| hints.watch(dir, true));
    watch();
    // What changed between the first load and the watch is found now.
    loader.reconcile();
    let mut rescan_at = Instant::now() + RESCAN;
    loop {
        let wait = if loader.wants_retry() { DEBOUNCE } else { rescan_at.saturating_duration_since(Instant::now()) };
        match inbox.recv_timeout(wait) {
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Request::Hint) => {
                pending.store(false, Ordering::SeqCst);
                if !settle(loader, inbox, &pending) {
                    return;
                }
                loader.reconcile();
            }
            Ok(request) => loader.serve(request),
            Err(RecvTimeoutError::Timeout) => {
                if Instant::now() >= rescan_at {
                    rescan_at = Instant::now() + RESCAN;
                    // A directory that was replaced, or came late, is watched again.
                    watch();
                }
                loader.reconcile();
            }
        }
    }
}

/// Waits until events cease. False: told to stop.
fn settle(loader: &mut Loader, inbox: &Receiver<Request>, pending: &AtomicBool) -> bool {
    let latest = Instant::now() + DEBOUNCE_MAX;
    let mut quiet_at = Instant::now() + DEBOUNCE;
    loop {
        let until = quiet_at.min(latest);
        match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(Request::Hint) => {
                pending.store(false, Ordering::SeqCst);
                quiet_at = Instant::now() + DEBOUNCE;
            }
            Ok(request) => loader.serve(request),
            Err(RecvTimeoutError::Timeout) => return true,
        }
    }
}

/// Hints as requests, at most one of them waiting.
fn hints(requests: Sender<Request>, pending: Arc<AtomicBool>) -> Hints {
    Hints::new(move || {
        if !pending.swap(true, Ordering::SeqCst) {
            // The loader has ended: nobody is left to be told.
            let _ = requests.send(Request::Hint);
        }
    })
}
