//! What the controller is told of the configured sources, and the series that the chain and the rules need.
//!
//! For: who owes a number, how old it may be, how it merges. Never reads one.

use super::Controller;
use crate::policy::MetricNeed;
use crate::series::Limits;
use crate::signals::{Across, Within};
use crate::time::Span;

impl Controller {
    /// Every series that some stage, wake rule or grant for zero needs, each once. Those of shadows are not among them.
    pub fn needs(&self) -> Vec<MetricNeed> {
        self.asked.needs.clone()
    }

    /// The longest period of the sources: data is not stale before three of them.
    pub fn set_source_period(&mut self, period: Span) {
        if let Some(tape) = &mut self.tape {
            tape.source_period(period);
        }
        self.source_period = period;
        self.settle_needs();
    }

    /// How a source's own signal merges where a policy does not say.
    pub fn set_signal_defaults(&mut self, signal: &str, within: Within, across: Across) {
        if let Some(tape) = &mut self.tape {
            tape.signal_defaults(signal, within, across);
        }
        self.windows.set_own(signal, within, across);
    }

    /// The raw signals (see [`signals`](crate::signals)) that the configured sources for the whole workload give. Each is
    /// missed until it answers and after it fell silent, until it is no longer named here. Empty: such a source counts
    /// once it has spoken, and until it has been silent for long.
    pub fn set_page_signals(&mut self, signals: &[String]) {
        if let Some(tape) = &mut self.tape {
            tape.page_signals(signals);
        }
        self.windows.set_page_signals(signals.iter().cloned().collect());
    }

    /// The raw signals that the configured sources read from each replica. A page that gives one of them too does not
    /// speak for replicas that gave it once and are silent now. Empty: it does.
    pub fn set_replica_signals(&mut self, signals: &[String]) {
        if let Some(tape) = &mut self.tape {
            tape.replica_signals(signals);
        }
        self.windows.set_replica_signals(signals.iter().cloned().collect());
    }

    pub(super) fn limits(&self) -> Limits {
        let (rules, interval) = (&self.config.guardrails, self.config.interval);
        Limits {
            interval,
            stale_after: rules.stale_after(interval, self.source_period),
            silent_after: rules.silent_after(interval, self.source_period),
        }
    }
}
