//! Reading a workload's sources in rounds, so that no address waits for another.
//!
//! For: one reading in flight per address, whatever it does; answers that come after their round serve the next. Never
//! holds more than the newest reading of each address, and never judges one.

mod seat;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use trimtab_control::sample::Sample;
use trimtab_control::time::Time;

use crate::client::Fault;
use crate::clock::Clock;
use crate::daemon::SourceView;
use crate::source::{ReadError, Source};
use crate::target::Endpoint;

use seat::{Flight, Key, Seat};

/// Readings at one time; those that wait for a place are not yet timed.
const MOST_AT_ONCE: usize = 256;

/// Told after each reading: the source's name, how long it took, and the code of its failure.
pub type OnReading = Box<dyn Fn(&'static str, Duration, Option<&'static str>) + Send + Sync>;

/// Pool, replica, requests running and queued there, and when that was so.
pub type Load = (Arc<str>, Arc<str>, f64, Time);

/// Reads the sources of one workload. Dropping it ends what is in flight.
pub struct Scraper {
    shared: Arc<Shared>,
}

struct Shared {
    sources: Vec<Arc<dyn Source>>,
    clock: Clock,
    on_reading: OnReading,
    timeout: Duration,
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seats: BTreeMap<Key, Seat>,
    /// Readings started so far.
    started: u64,
}

impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraper").field("addresses", &self.shared.lock().seats.len()).finish_non_exhaustive()
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.shared.lock().seats.clear();
    }
}

impl Scraper {
    /// A scraper that has read nothing yet. `timeout` bounds one reading; a round is bounded by its own patience.
    pub fn new(sources: Vec<Arc<dyn Source>>, clock: Clock, on_reading: OnReading, timeout: Duration) -> Scraper {
        let places = Semaphore::new(MOST_AT_ONCE);
        Scraper { shared: Arc::new(Shared { sources, clock, on_reading, timeout, places, state: Mutex::default() }) }
    }

    /// Starts a reading of every address that has none in flight, and returns when those have ended or `patience` is
    /// over. Readings that go on are taken by a later [`Scraper::drain`]. An address that `endpoints` names no more is
    /// forgotten, with what is in flight there.
    pub async fn round(&self, endpoints: &[Endpoint], patience: Duration) {
        let (running, mut ended) = mpsc::channel::<Infallible>(1);
        self.start(endpoints, &running);
        // Nothing is ever sent: the channel closes when the last reading lets go of its end.
        drop(running);
        let _ = tokio::time::timeout(patience, ended.recv()).await;
    }

    fn start(&self, endpoints: &[Endpoint], running: &mpsc::Sender<Infallible>) {
        let wanted = self.addresses(endpoints);
        let mut state = self.shared.lock();
        let State { seats, started } = &mut *state;
        seats.retain(|key, _| wanted.contains_key(key));
        let mut idle: Vec<(Key, Option<Endpoint>)> =
            wanted.into_iter().filter(|(key, _)| seats.entry(key.clone()).or_default().is_idle()).collect();
        // Where there are more addresses than places, those that answered go first.
        idle.sort_by_key(|(key, _)| seats.get(key).is_some_and(|seat| seat.error.is_some()));
        for (key, endpoint) in idle {
            *started += 1;
            let reading = read(self.shared.clone(), key.clone(), *started, endpoint, running.clone());
            let task = tokio::spawn(reading).abort_handle();
            seats.entry(key).or_default().flight = Some(Flight { number: *started, task });
        }
    }

    fn addresses(&self, endpoints: &[Endpoint]) -> BTreeMap<Key, Option<Endpoint>> {
        let mut addresses = BTreeMap::new();
        for (index, source) in self.shared.sources.iter().enumerate() {
            if !source.per_replica() {
                addresses.insert(Key { source: index, replica: None, place: source.place(None) }, None);
                continue;
            }
            for endpoint in endpoints {
                let replica = Some((endpoint.pool.clone(), endpoint.replica.clone()));
                let place = source.place(Some(endpoint));
                addresses.insert(Key { source: index, replica, place }, Some(endpoint.clone()));
            }
        }
        addresses
    }

    /// What was read since the last call: of each address at most the newest reading.
    pub fn drain(&self) -> Vec<Sample> {
        self.shared.lock().seats.values_mut().flat_map(|seat| std::mem::take(&mut seat.samples)).collect()
    }

    /// What each address did last, by source and replica.
    pub fn report(&self) -> Vec<SourceView> {
        let state = self.shared.lock();
        let view = |(key, seat): (&Key, &Seat)| SourceView {
            source: self.shared.sources[key.source].name(),
            place: key.place.clone(),
            replica: key.replica.clone(),
            good_at: seat.good_at,
            error: seat.error.clone(),
        };
        state.seats.iter().map(view).collect()
    }

    /// From the newest reading of each replica that tells: for [`Target::note_work`](crate::target::Target::note_work).
    pub fn work(&self) -> Vec<Load> {
        let state = self.shared.lock();
        let mut newest = BTreeMap::new();
        for (key, seat) in &state.seats {
            let (Some(replica), Some((load, at))) = (&key.replica, seat.work) else { continue };
            let known = newest.entry(replica).or_insert((load, at));
            if at > known.1 {
                *known = (load, at);
            }
        }
        newest.into_iter().map(|((pool, replica), (load, at))| (pool.clone(), replica.clone(), load, at)).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is of one seat and whole; after a panic elsewhere the others are still what they say.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reading, from start to seat. `_running` tells the round when it is over.
async fn read(
    shared: Arc<Shared>,
    key: Key,
    number: u64,
    endpoint: Option<Endpoint>,
    _running: mpsc::Sender<Infallible>,
) {
    // Never closed.
    let Ok(_place) = shared.places.acquire().await else { return };
    let source = &shared.sources[key.source];
    let started = Instant::now();
    let outcome = match tokio::time::timeout(shared.timeout, source.read(endpoint.as_ref())).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ReadError {
            code: "timeout",
            place: key.place.clone(),
            message: Fault::Timeout(shared.timeout).to_string(),
        }),
    };
    (shared.on_reading)(source.name(), started.elapsed(), outcome.as_ref().err().map(|error| error.code));
    let now = shared.clock.now();
    if let Some(seat) = shared.lock().seats.get_mut(&key)
        && seat.flight.as_ref().is_some_and(|flight| flight.number == number)
    {
        seat.take(outcome, now);
    }
}
