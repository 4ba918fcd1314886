//! When to look at the directories.
//!
//! For: turning any storm of file events into one reconcile soon after it ends, and looking anyway where events are
//! missing. Never reads what an event says.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Request;
use super::loader::Loader;
use crate::hints::Hints;

/// Quiet time after which a first look is worth its cost: what is renamed into place is there at once.
const GLANCE: Duration = Duration::from_millis(10);
/// Quiet time that ends a storm of events.
const DEBOUNCE: Duration = Duration::from_millis(150);
/// The longest a storm delays a look.
const DEBOUNCE_MAX: Duration = Duration::from_secs(1);
/// Looking without an event.
const RESCAN: Duration = Duration::from_secs(15);

/// Serves requests and hints until told to stop.
pub(super) fn run(loader: &mut Loader, inbox: &Receiver<Request>, dirs: &[PathBuf], requests: &Sender<Request>) {
    let storm = Arc::new(Storm::new());
    let mut hints = hints(requests.clone(), Arc::clone(&storm));
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
                let latest = Instant::now() + DEBOUNCE_MAX;
                if !storm.settle(loader, inbox, latest, GLANCE) {
                    return;
                }
                loader.look_ahead();
                if !storm.settle(loader, inbox, latest, DEBOUNCE) {
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

/// When the last event came, so that the time that a look took counts as quiet.
struct Storm(Mutex<Events>);

struct Events {
    last: Instant,
    /// The loader was told, and has not asked since.
    told: bool,
}

impl Storm {
    fn new() -> Storm {
        Storm(Mutex::new(Events { last: Instant::now(), told: false }))
    }

    /// Notes an event. True: the loader has to be told.
    fn event(&self) -> bool {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.last = Instant::now();
        !std::mem::replace(&mut events.told, true)
    }

    /// The last event. The loader is told of the next one.
    fn last(&self) -> Instant {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.told = false;
        events.last
    }

    /// Waits until there was no event for `quiet`, or it is `latest`. False: told to stop.
    fn settle(&self, loader: &mut Loader, inbox: &Receiver<Request>, latest: Instant, quiet: Duration) -> bool {
        loop {
            let left = (self.last() + quiet).min(latest).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            match inbox.recv_timeout(left) {
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(Request::Hint) | Err(RecvTimeoutError::Timeout) => {}
                Ok(request) => loader.serve(request),
            }
        }
    }
}

/// Hints as requests, at most one of them waiting.
fn hints(requests: Sender<Request>, storm: Arc<Storm>) -> Hints {
    Hints::new(move || {
        if storm.event() {
            // The loader has ended: nobody is left to be told.
            let _ = requests.send(Request::Hint);
        }
    })
}
