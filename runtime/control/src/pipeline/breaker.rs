//! When a module that fails again and again is no longer called.
//!
//! For: a policy that is broken, or was given what it cannot bear, costs one call now and then instead of one a tick, and
//! what it costs is said. Only what the module did counts: never a fault of the host, never a missing metric.

use serde::{Deserialize, Serialize};

use crate::policy::Fault;
use crate::time::{Span, Time};

/// So many failures in a row open it.
pub(crate) const FAILURES: u32 = 5;
/// The first pause; each call that fails after a pause doubles it.
const PAUSE: Span = Span(30_000);
const PAUSE_MAX: Span = Span(600_000);
/// Codes of faults that are nobody's, or the host's.
const NOT_ITS_OWN: [&str; 4] = ["host", "observation-too-large", "missing-metric", "not-loaded"];

/// Of one module behind one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Breaker {
    failures: u32,
    pause: Span,
    /// Open until then; after it one call is tried.
    until: Option<Time>,
    last: String,
}

impl Breaker {
    /// Why the module is not called now; none: it is.
    pub(super) fn open(&self, now: Time) -> Option<Fault> {
        let left = self.until?.since(now);
        (left > Span(0)).then(|| Fault {
            code: "breaker-open".to_owned(),
            message: format!("not called for another {left} after {} failures in a row: {}", self.failures, self.last),
        })
    }

    /// How a call went; none: well. True: this failure opened it.
    pub(super) fn note(&mut self, fault: Option<&Fault>, now: Time) -> bool {
        let Some(fault) = fault else {
            *self = Breaker::default();
            return false;
        };
        if NOT_ITS_OWN.contains(&fault.code.as_str()) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = format!("{}: {}", fault.code, fault.message);
        if self.failures < FAILURES {
            return false;
        }
        self.pause = if self.until.is_none() { PAUSE } else { Span(self.pause.0 * 2).min(PAUSE_MAX) };
        self.until = Some(now + self.pause);
        self.failures == FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: &str) -> Fault {
        Fault { code: code.to_owned(), message: "why".to_owned() }
    }

    #[test]
    fn opens_after_failures_in_a_row_and_pauses_longer_each_time() {
        let mut breaker = Breaker::default();
        let trap = fault("trap");
        for second in 0..4 {
            assert!(!breaker.note(Some(&trap), Time(second * 1000)));
            assert_eq!(breaker.open(Time(second * 1000)), None);
        }
        assert!(breaker.note(Some(&trap), Time(4000)));
        let said = breaker.open(Time(5000)).map(|fault| fault.message);
        assert_eq!(said.as_deref(), Some("not called for another 29s after 5 failures in a row: trap: why"));
        assert_eq!(breaker.open(Time(34_000)), None);
        assert!(!breaker.note(Some(&trap), Time(34_000)), "it opens once");
        assert!(breaker.open(Time(93_000)).is_some());
        assert_eq!(breaker.open(Time(94_000)), None);
        for _ in 0..10 {
            breaker.note(Some(&trap), Time(94_000));
        }
        assert_eq!(breaker.until, Some(Time(694_000)), "ten minutes at most");
        breaker.note(None, Time(100_000));
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn what_is_not_its_own_fault_does_not_count() {
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            for code in NOT_ITS_OWN {
                assert!(!breaker.note(Some(&fault(code)), Time(0)));
            }
        }
        assert_eq!(breaker, Breaker::default());
    }
}
