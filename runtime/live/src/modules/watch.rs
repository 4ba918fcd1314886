//! When to look at the directories.
//!
//! For: turning any storm of file events into one reconcile soon after it ends, and looking anyway where events are
//! missing. Never reads what an event says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::Request;
use super::loader::Loader;

/// Quiet time that ends a storm of events.
const DEBOUNCE: Duration = Duration::from_millis(150);
/// The longest a storm delays a look.
const DEBOUNCE_MAX: Duration = Duration::from_secs(1);
/// Looking without an event.
const RESCAN: Duration = Duration::from_secs(15);

/// Serves requests and hints until told to stop.
pub(super) fn run(loader: &mut Loader, inbox: &Receiver<Request>, dirs: &[PathBuf], hints: &Sender<Request>) {
    let pending = Arc::new(AtomicBool::new(false));
    let mut watcher = watcher(hints.clone(), Arc::clone(&pending));
    watch(watcher.as_mut(), dirs);
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
                    watch(watcher.as_mut(), dirs);
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

/// A watcher whose events become hints, at most one of them waiting. None: this machine has no events to give.
fn watcher(hints: Sender<Request>, pending: Arc<AtomicBool>) -> Option<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files makes events too; an error (an overflow) may hide any change.
        let matters = event.map_or(true, |event| match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        });
        if matters && !pending.swap(true, Ordering::SeqCst) {
            // The loader has ended: nobody is left to be told.
            let _ = hints.send(Request::Hint);
        }
    })
    .ok()
}

/// A directory that cannot be watched is still rescanned.
fn watch(watcher: Option<&mut RecommendedWatcher>, dirs: &[PathBuf]) {
    if let Some(watcher) = watcher {
        for dir in dirs {
            let _ = watcher.watch(dir, RecursiveMode::Recursive);
        }
    }
}
