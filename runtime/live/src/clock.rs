//! The daemon's clock: wall clock at the start plus the time that has passed since, drawn gently towards the wall clock.
//!
//! For: the one `now` that control, sources and targets are given. It never goes back and never jumps: where the wall
//! clock was set, the difference is worked off by at most 1 % of the time passed, and `drift` tells how much is left.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use trimtab_control::time::Time;

/// The share of the time passed by which the clock may run faster or slower than real time: one in so many.
const SLEW_DIVISOR: i128 = 100;

/// What the two clocks of the machine said at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Since the Unix epoch; may jump either way.
    pub wall: Duration,
    /// Since any fixed instant; never goes back, and counts the time that the machine was suspended.
    pub passed: Duration,
}

/// The clock. Clones tell the same time.
#[derive(Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

struct Shared {
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    hand: Mutex<Hand>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Clock {
    /// The machine's own clocks.
    #[must_use]
    pub fn system() -> Clock {
        Clock::with(|| {
            let passed = clock_gettime(ClockId::Boottime);
            Reading {
                // A wall clock before 1970 reads as 1970: later instants must not be in the far future.
                wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                passed: Duration::new(passed.tv_sec.unsigned_abs(), passed.tv_nsec as u32),
            }
        })
    }

    /// A clock over other readings: for tests, and for hosts that bring their own.
    #[must_use]
    pub fn with(read: impl Fn() -> Reading + Send + Sync + 'static) -> Clock {
        let hand = Mutex::new(Hand::at(read()));
        Clock { shared: Arc::new(Shared { read: Box::new(read), hand }) }
    }

    /// The instant it is.
    #[must_use]
    pub fn now(&self) -> Time {
        Time((self.advance().nanos / 1_000_000) as u64)
    }

    /// How far the wall clock is ahead of this one (negative: behind), in milliseconds. More than a few means that the
    /// wall clock was set: worth a note, never an action.
    #[must_use]
    pub fn drift(&self) -> i64 {
        (self.advance().ahead / 1_000_000) as i64
    }

    fn advance(&self) -> Hand {
        // A panic cannot leave the two numbers half written; go on with them.
        let mut hand = self.shared.hand.lock().unwrap_or_else(PoisonError::into_inner);
        *hand = hand.moved((self.shared.read)());
        *hand
    }
}

/// Where the clock stands, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Hand {
    nanos: i128,
    passed: i128,
    /// The wall clock less `nanos` at the last reading.
    ahead: i128,
}

impl Hand {
    fn at(reading: Reading) -> Hand {
        Hand { nanos: reading.wall.as_nanos() as i128, passed: reading.passed.as_nanos() as i128, ahead: 0 }
    }

    fn moved(self, reading: Reading) -> Hand {
        // Readings of two threads may arrive in the other order: time then stands still.
        let passed = (reading.passed.as_nanos() as i128).max(self.passed);
        let elapsed = passed - self.passed;
        let ahead = reading.wall.as_nanos() as i128 - (self.nanos + elapsed);
        let most = elapsed / SLEW_DIVISOR;
        let slew = ahead.clamp(-most, most);
        Hand { nanos: self.nanos + elapsed + slew, passed, ahead: ahead - slew }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock whose readings the test sets, in milliseconds.
    fn fake(wall: u64, passed: u64) -> (Clock, Arc<Mutex<(u64, u64)>>) {
        let readings = Arc::new(Mutex::new((wall, passed)));
        let read = readings.clone();
        let clock = Clock::with(move || {
            let (wall, passed) = *read.lock().unwrap();
            Reading { wall: Duration::from_millis(wall), passed: Duration::from_millis(passed) }
        });
        (clock, readings)
    }

    #[test]
    fn follows_the_time_passed() {
        let (clock, readings) = fake(1_000_000, 50);
        assert_eq!(clock.now(), Time(1_000_000));
        *readings.lock().unwrap() = (1_010_000, 10_050);
        assert_eq!(clock.now(), Time(1_010_000));
        assert_eq!(clock.drift(), 0);
    }

    #[test]
    fn a_jump_is_worked_off_by_one_percent() {
        for (jump, after_100s, left) in
            [(3_600_000, 10_101_000, 3_599_000), (-3_600_000, 10_099_000, -3_599_000), (500, 10_100_500, 0)]
        {
            let (clock, readings) = fake(10_000_000, 0);
            readings.lock().unwrap().0 = 10_000_000_u64.saturating_add_signed(jump);
            assert_eq!(clock.now(), Time(10_000_000), "a jump alone moves nothing");
            *readings.lock().unwrap() = (10_100_000_u64.saturating_add_signed(jump), 100_000);
            assert_eq!((clock.now(), clock.drift()), (Time(after_100s), left));
        }
    }

    #[test]
    fn many_small_readings_slew_as_much_as_one_large() {
        let (clock, readings) = fake(1_000_000, 0);
        for ms in 1..=10_000 {
            *readings.lock().unwrap() = (2_000_000 + ms, ms);
            let _ = clock.now();
        }
        assert_eq!(clock.now(), Time(1_010_100));
    }

    #[test]
    fn never_goes_back() {
        let (clock, readings) = fake(1_000_000, 1000);
        let mut last = clock.now();
        for (wall, passed) in [(1_000_500, 1500), (10, 1600), (1_001_000, 1400), (0, 900_000), (u64::MAX / 2, 900_001)]
        {
            *readings.lock().unwrap() = (wall, passed);
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn the_system_clock_moves() {
        let clock = Clock::system();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(20));
        assert!(clock.now() > before);
    }
}
