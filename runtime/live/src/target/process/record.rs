//! What is remembered of a pool of processes and of each replica.
//!
//! For: the records in the store, and the two words that everything turns on: what a replica is for ([`Goal`]), and how
//! far it is ([`Phase`]). Never judges either.

use serde::{Deserialize, Serialize};
use trimtab_control::time::Time;

/// What was asked of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) serving: u32,
    pub(super) standby: u32,
    /// The number that the next replica's name ends with; never goes back.
    pub(super) next: u64,
    /// The decision it came from, for whoever reads the file.
    pub(super) decision: String,
}

/// One process among all that this host has had since it started, and among its starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// Clock ticks since the host started.
    pub(super) start: u64,
    pub(super) boot: String,
}

/// What a replica is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Goal {
    /// To take requests.
    Serve,
    /// To sleep, ready to be woken.
    Standby,
    /// To go away.
    End,
}

/// How far a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// To be started at once.
    Intended,
    /// Its process ended; it is started again then.
    Waiting {
        /// When.
        until: Time,
    },
    /// Its process ended too often; it is tried again then.
    Failed {
        /// When.
        until: Time,
    },
    /// Its process runs and has not answered yet.
    Starting,
    /// It takes requests, or would.
    Ready,
    /// No endpoint any more; finishes its work.
    Draining,
    /// Being sent to sleep.
    Entering,
    /// Asleep.
    Standby,
    /// Being woken.
    Leaving,
    /// Its process was asked to end, or has ended and left others that were.
    Ending,
}

impl Phase {
    /// Whether there is a process, or may be one.
    pub(super) fn has_process(self) -> bool {
        !matches!(self, Phase::Intended | Phase::Waiting { .. } | Phase::Failed { .. })
    }
}

/// A replica as it is recorded; key: its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) token: String,
    /// `NS/NAME/POOL`.
    pub(super) pool: String,
    pub(super) name: String,
    pub(super) port: u16,
    /// As filled in for the newest start.
    pub(super) command: Vec<String>,
    pub(super) created: Time,
    /// Which start is the newest, or intended: 1, 2 and so on. A process with a greater number in its marks was started
    /// later than this was recorded.
    #[serde(default)]
    pub(super) nth: u32,
    /// None: not started yet, or started and not recorded any more.
    pub(super) process: Option<Identity>,
    pub(super) goal: Goal,
    pub(super) phase: Phase,
    /// Since when it is in this phase.
    pub(super) entered: Time,
    /// Since when it is in the state that is reported.
    pub(super) since: Time,
    /// It starts again after its process ended.
    pub(super) restarting: bool,
    /// It was taken away by name, as silent: it is not brought back.
    pub(super) unwell: bool,
    /// When its process ended, within the window that is looked at.
    pub(super) deaths: Vec<Time>,
    /// Starts in a row that did not get it ready.
    pub(super) tries: u32,
    /// It failed and has not been ready since: the next death fails it again.
    pub(super) given_up: bool,
}
