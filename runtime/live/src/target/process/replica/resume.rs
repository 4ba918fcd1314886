//! What becomes of a replica of an earlier daemon.
//!
//! For: joining what was recorded of it with what was found of it. Never looks for it itself.

use trimtab_control::time::{Span, Time};

use super::super::adopt::Trace;
use super::super::life::{End, UNWATCHED};
use super::super::record::Phase;
use super::{Replica, WINDOW};
use crate::target::ProcessSpec;

/// A replica that was starting when the daemon came back has at least so long to answer.
const ANSWER: Span = Span::seconds(5);

impl Replica {
    /// Takes up what an earlier daemon left. `rebooted`: a process that is gone is so with all others.
    pub(in super::super) fn resume(&mut self, trace: Trace, rebooted: bool, spec: &ProcessSpec, now: Time) {
        let kept = &mut self.kept;
        // Instants of another clock may lie in the future.
        kept.entered = kept.entered.min(now);
        kept.since = kept.since.min(now);
        kept.deaths.iter_mut().for_each(|at| *at = (*at).min(now));
        if let Phase::Waiting { until } | Phase::Failed { until } = &mut kept.phase {
            *until = (*until).min(now + WINDOW);
        }
        let recorded = kept.phase.has_process();
        match trace {
            Trace::Runs(process) => {
                kept.process = Some(process);
                if kept.phase == Phase::Starting {
                    // However long nobody asked it: it has some time to answer now.
                    kept.entered = kept.entered.max((now + ANSWER) - spec.ready.timeout);
                }
            }
            Trace::Later { process, port, nth } => {
                // How long it has run and whether it was ready is not known: it is asked.
                (kept.process, kept.port, kept.nth) = (Some(process), port, nth);
                (kept.phase, kept.entered) = (Phase::Starting, now);
                kept.restarting |= recorded;
            }
            // It has died once they have ended.
            Trace::Leftovers => self.first_ended(now),
            Trace::Nothing if recorded && !rebooted => {
                self.died(&End { how: UNWATCHED.into(), output: String::new() }, now);
            }
            Trace::Nothing => {
                kept.process = None;
                kept.restarting |= recorded;
                if recorded || kept.phase == Phase::Intended {
                    // Its port may be another's by now: it gets one anew.
                    kept.phase = Phase::Waiting { until: now };
                }
            }
        }
        self.shown = self.state();
    }
}
