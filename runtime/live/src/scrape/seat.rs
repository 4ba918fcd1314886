//! What is held of one address: the reading in flight, and the newest that came back.

use std::sync::Arc;

use tokio::task::AbortHandle;
use trimtab_control::sample::{Reading, Sample};
use trimtab_control::time::Time;

use crate::source::ReadError;

/// One address of one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Its index.
    pub(super) source: usize,
    /// Pool and replica, where the source reads replicas: one that was replaced is another address.
    pub(super) replica: Option<(Arc<str>, Arc<str>)>,
    /// As messages name it.
    pub(super) place: String,
}

/// A reading in flight; dropping it ends the reading.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) task: AbortHandle,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) flight: Option<Flight>,
    /// Of the newest good reading, until they are drained.
    pub(super) samples: Vec<Sample>,
    /// Requests running and queued, where the newest good reading tells.
    pub(super) work: Option<(f64, Time)>,
    pub(super) good_at: Option<Time>,
    /// Of the newest reading; none: it was good, or there is none yet.
    pub(super) error: Option<(&'static str, String)>,
}

impl Seat {
    /// Whether a reading may start here. One that ended without a word has panicked: it is said, and the next may start.
    pub(super) fn is_idle(&mut self) -> bool {
        if self.flight.as_ref().is_some_and(|flight| flight.task.is_finished()) {
            self.flight = None;
            self.error = Some(("other", "reading it failed inside the daemon; see its log".to_owned()));
        }
        self.flight.is_none()
    }

    /// The reading in flight has come back.
    pub(super) fn take(&mut self, outcome: Result<Vec<Sample>, ReadError>, now: Time) {
        self.flight = None;
        match outcome {
            Ok(samples) => {
                // When it was taken, not when it was done; a page without a single number is as good as its arrival.
                self.good_at = Some(samples.first().map_or(now, |sample| sample.at));
                self.work = work(&samples);
                self.samples = samples;
                self.error = None;
            }
            Err(error) => self.error = Some((error.code, error.message)),
        }
    }
}

/// Requests running and queued; none: the page tells neither, or something that cannot be.
fn work(samples: &[Sample]) -> Option<(f64, Time)> {
    let mut sum = None;
    for sample in samples.iter().filter(|s| matches!(&*s.signal, "active-sequences" | "queue-depth")) {
        match sample.reading {
            Reading::Gauge(value) if value.is_finite() && value >= 0.0 => {
                sum = Some((sum.map_or(0.0, |(before, _)| before) + value, sample.at));
            }
            _ => return None,
        }
    }
    sum
}
