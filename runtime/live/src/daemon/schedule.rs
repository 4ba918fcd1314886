//! When a workload ticks and when it is only sampled.
//!
//! For: a grid of ticks that does not drift, sampling between them where a policy asks for a finer step, and an account
//! of ticks that were due and not started before the next was due. Never sleeps but in `wait`.

use std::time::Duration;

use tokio::time::Instant;
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
    pub(super) fn new(interval: Span, needs: &[MetricNeed], now: Instant) -> Schedule {
        let (interval, sampling) = periods(interval, needs);
        Schedule { interval, sampling, tick: now, extra: None, sample: now + sampling }
    }

    /// Another interval, or other needs. The grid stays where the interval does.
    pub(super) fn settle(&mut self, interval: Span, needs: &[MetricNeed], now: Instant) {
        let (interval, sampling) = periods(interval, needs);
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
        // One that was asked for meanwhile stays.
        self.extra.take_if(|extra| *extra <= due);
        if due < self.tick {
            return 0;
        }
        self.tick += self.interval;
        // The next one may still start, however late, unless the one after it is due as well.
        let missed = now.saturating_duration_since(self.tick).as_nanos() / self.interval.as_nanos();
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        self.tick += self.interval * missed;
        u64::from(missed)
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
fn periods(interval: Span, needs: &[MetricNeed]) -> (Duration, Duration) {
    let steps = needs.iter().map(|need| need.step).filter(|step| *step > Span(0));
    let sampling = steps.chain([interval]).min().unwrap_or(interval).max(SHORTEST);
    (Duration::from_millis(interval.0), Duration::from_millis(sampling.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(now: Instant, interval: u64, step: u64) -> Schedule {
        let need = MetricNeed {
            signal: "queue-depth".into(),
            by: Vec::new(),
            within: String::new(),
            across: String::new(),
            step: Span(step),
            window: Span(0),
            required: false,
        };
        Schedule::new(Span(interval), &[need], now)
    }

    #[test]
    fn a_tick_that_took_long_delays_the_next_and_those_after_it_were_missed() {
        let start = Instant::now();
        let mut schedule = schedule(start, 1000, 0);
        assert_eq!(schedule.ticked(start, start + SECOND / 10), 0);
        assert_eq!(schedule.next(), Due { at: start + SECOND, tick: true });
        // The next was due a moment ago: it starts late, and none was missed.
        assert_eq!(schedule.ticked(start + SECOND, start + SECOND * 21 / 10), 0);
        assert_eq!(schedule.next().at, start + SECOND * 2);
        assert_eq!(schedule.ticked(start + SECOND * 2, start + SECOND * 45 / 10), 1);
        assert_eq!(schedule.next().at, start + SECOND * 4);
        assert_eq!(schedule.ticked(start + SECOND * 4, start + SECOND * 10), 5);
        assert_eq!(schedule.next().at, start + SECOND * 10);
    }

    #[test]
    fn a_recheck_that_a_tick_asked_for_comes_between_two_of_the_grid() {
        let start = Instant::now();
        let mut schedule = schedule(start, 10_000, 0);
        schedule.recheck(start + SECOND * 3);
        schedule.recheck(start + SECOND * 2);
        assert_eq!(schedule.ticked(start, start), 0);
        assert_eq!(schedule.next(), Due { at: start + SECOND * 2, tick: true });
        assert_eq!(schedule.ticked(start + SECOND * 2, start + SECOND * 2), 0);
        assert_eq!(schedule.next(), Due { at: start + SECOND * 10, tick: true });
    }

    #[test]
    fn a_finer_step_is_sampled_between_ticks() {
        let start = Instant::now();
        let mut schedule = schedule(start, 15_000, 5000);
        assert_eq!(schedule.ticked(start, start), 0);
        assert_eq!(schedule.next(), Due { at: start + SECOND * 5, tick: false });
    }
}
