//! The clock of interruption: a thread that advances the engines' epochs while calls are in flight.
//!
//! For: making every guest loop reach a deadline check. It is an OS thread of its own, so that a busy executor cannot
//! starve it, and it sleeps without a period while nothing runs. Never decides who is interrupted: `deadline` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

/// Ticks without a call before the thread parks. It lingers, so that a stream of calls wakes it once, not each time.
const IDLE_TICKS: u32 = 40;

struct Shared {
    in_flight: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// Owns the thread; dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A call in flight; the ticker runs at least as long as it lives.
pub(crate) struct InFlight<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn start(engines: Vec<Engine>, period: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            in_flight: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new().name("epoch-ticker".into()).spawn(move || run(&seen, &engines, period))?;
        Ok(Ticker { shared, thread: Some(thread) })
    }

    /// Marks a call as in flight.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        // Sequential consistency on both flags: either the ticker sees this call before it parks, or this call sees
        // that it has parked and wakes it.
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        InFlight(&self.shared)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread runs no foreign code, so it cannot have panicked.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, engines: &[Engine], period: Duration) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        if idle < IDLE_TICKS {
            thread::sleep(period);
            engines.iter().for_each(Engine::increment_epoch);
        } else {
            shared.parked.store(true, Ordering::SeqCst);
            if shared.in_flight.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
        }
        idle = if shared.in_flight.load(Ordering::SeqCst) == 0 { idle.saturating_add(1) } else { 0 };
    }
}
