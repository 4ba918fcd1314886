//! The journal: every input of a controller in the order in which it was given, and what came of it, small enough to keep
//! and exact enough to compute the same bytes again.
//!
//! For: yesterday's incident, and what another policy would have decided in it. A segment begins with the whole state of
//! a controller ([`frame::Opening`] and a snapshot); records follow, each with the [`Entry`]s of one step. A tick holds
//! hashes of its decision in parts, so that a difference has a name, and the faults that hang on the machine, which
//! replay answers as they were. Bytes come in and go out: never opens a file, never reads a clock.

mod dictionary;
pub mod frame;
mod intake;
mod made;
mod order;
pub mod replay;
mod tape;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use crate::command::Command;
use crate::config::{Module, WorkloadConfig};
use crate::decision::{Grant, Outcome};
use crate::policy::{Call, Fault};
use crate::sample::Intake;
use crate::saved::Slot;
use crate::signals::{Across, Within};
use crate::time::{Span, Time};

pub(crate) use made::hash_commits;
pub use made::{Made, Numbers, Part};
pub(crate) use tape::Tape;
pub use tape::Taped;
pub use wire::Malformed;

/// Codes of faults that are no function of a call's arguments: the machine has a part in them, or the limits of a tenant.
const OF_THE_MACHINE: [&str; 6] = ["timeout", "memory", "trap", "host", "answer-too-large", "state-too-large"];

/// Whether a fault is recorded, and answered as it was.
pub fn is_of_the_machine(fault: &Fault) -> bool {
    OF_THE_MACHINE.contains(&fault.code.as_str())
}

/// A call that gave no answer, for a reason that is not in its arguments.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fallen {
    /// Index of the stage.
    pub stage: usize,
    /// Which module of it.
    pub slot: Slot,
    /// What came back.
    pub call: Call,
}

/// One thing that a controller was given.
#[derive(Debug, Clone)]
pub enum Entry {
    /// See [`Controller::observe`](crate::Controller::observe).
    Observe {
        /// What sources and targets reported.
        intake: Intake,
        /// When.
        now: Time,
    },
    /// See [`Controller::propose`](crate::Controller::propose).
    Propose {
        /// When.
        now: Time,
        /// Calls that failed by no fault of the inputs.
        fallen: Vec<Fallen>,
    },
    /// See [`Controller::decide`](crate::Controller::decide).
    Decide {
        /// When.
        now: Time,
        /// What the arbiter allowed.
        grant: Grant,
        /// What was decided.
        made: Made,
    },
    /// See [`Controller::record`](crate::Controller::record).
    Record {
        /// When.
        now: Time,
        /// What became of an action.
        outcome: Outcome,
    },
    /// See [`Controller::command`](crate::Controller::command).
    Command {
        /// When.
        now: Time,
        /// A person's order.
        command: Command,
    },
    /// See [`Controller::reconfigure`](crate::Controller::reconfigure).
    Reconfigure {
        /// When.
        now: Time,
        /// The next configuration.
        config: Box<WorkloadConfig>,
    },
    /// See [`Controller::install`](crate::Controller::install).
    Install {
        /// When.
        now: Time,
        /// The stage's name.
        stage: String,
        /// Which module of it.
        slot: Slot,
        /// The module, by its digest; or why there is none.
        module: Result<Module, Fault>,
    },
    /// See [`Controller::restore_previous_state`](crate::Controller::restore_previous_state).
    RestorePrevious {
        /// The stage's name.
        stage: String,
        /// Which module of it.
        slot: Slot,
    },
    /// See [`Controller::set_source_period`](crate::Controller::set_source_period).
    SourcePeriod(Span),
    /// See [`Controller::set_signal_defaults`](crate::Controller::set_signal_defaults).
    SignalDefaults {
        /// The signal.
        signal: String,
        /// Within a replica.
        within: Within,
        /// Across replicas.
        across: Across,
    },
    /// See [`Controller::set_page_signals`](crate::Controller::set_page_signals).
    PageSignals(Vec<String>),
    /// See [`Controller::set_replica_signals`](crate::Controller::set_replica_signals).
    ReplicaSignals(Vec<String>),
    /// See [`Controller::let_go`](crate::Controller::let_go).
    LetGo {
        /// The pool.
        pool: String,
    },
}
