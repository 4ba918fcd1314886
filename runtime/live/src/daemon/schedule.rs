//! When a workload ticks and when it is only sampled.
//!
//! For: a grid of ticks that does not drift, sampling between them where a policy asks for a finer step, and an account
//! of ticks that were due and not started before the next was due. Never sleeps but in `wait`.

use std::time::Duration;

use tokio::time::Instant;
use trimtab_control::config::WorkloadConfig;
use trimtab_control::policy::MetricNeed;
use trimtab_control::time::Span;

/// The shortest time between two readings.
const SHORTEST: Span = Span(1000);

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    interval: Duration,
    sampling: Duration,
    /// The next tick on the grid.
    tick: Instant,
    /// A tick between two of the grid.
    extra: Option<Instant>,
    sample: Instant,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Instant,
    /// False: readings only.
    pub(super) tick: bool,
}

impl Schedule {
    /// The first tick is due at once.
    pub(super) fn new(config: &WorkloadConfig, needs: &[MetricNeed], now: Instant) -> Schedule {
        let (interval, sampling) = periods(config, needs);
        Schedule { interval, sampling, tick: now, extra: None, sample: now + sampling }
    }

    /// Another interval, or other needs. The grid stays where the interval does.
    pub(super) fn settle(&mut self, config: &WorkloadConfig, needs: &[MetricNeed], now: Instant) {
        let (interval, sampling) = periods(config, needs);
        if interval != self.interval {
            self.tick = now + interval;
        }
        if sampling != self.sampling {
            self.sample = now + sampling;
        }
        (self.interval, self.sampling) = (interval, sampling);
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn sampling(&self) -> Duration {
        self.sampling
    }

    /// What comes next.
    fn next(&self) -> Due {
        let tick = self.extra.map_or(self.tick, |extra| extra.min(self.tick));
        if self.sampling < self.interval && self.sample < tick {
            return Due { at: self.sample, tick: false };
        }
        Due { at: tick, tick: true }
    }

    /// Waits for what comes next. Cancelling it loses nothing.
    pub(super) async fn wait(&mut self) -> Due {
        let due = self.next();
        tokio::time::sleep_until(due.at).await;
        // A reading that comes late is one reading, not several.
        self.sample = Instant::now() + self.sampling;
        due
    }

    /// The tick that was due then has ended: the number of ticks that were missed meanwhile.
    pub(super) fn ticked(&mut self, due: Instant, now: Instant) -> u64 {
        if due < self.tick {
            // It was an extra one; the grid is as it was.
            self.extra.take_if(|extra| *extra <= due);
            return 0;
        }
        self.extra = None;
        let behind = now.saturating_duration_since(due).as_nanos() / self.interval.as_nanos();
        let behind = u32::try_from(behind).unwrap_or(u32::MAX - 1);
        self.tick += self.interval * (behind + 1);
        u64::from(behind)
    }

    /// A tick sooner than the grid's next.
    pub(super) fn recheck(&mut self, at: Instant) {
        self.extra = Some(self.extra.map_or(at, |extra| extra.min(at)));
    }

    /// A tick now.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.recheck(now);
    }
}

/// The interval, and how often to read: the smaller of the interval and the smallest step asked for, at least 1 s.
fn periods(config: &WorkloadConfig, needs: &[MetricNeed]) -> (Duration, Duration) {
    let steps = needs.iter().map(|need| need.step).filter(|step| *step > Span(0));
    let sampling = steps.chain([config.interval]).min().unwrap_or(config.interval).max(SHORTEST);
    (Duration::from_millis(config.interval.0), Duration::from_millis(sampling.0))
}
