//! What is wrong with a journal, or missing from it.
//!
//! For: naming the file and the place. Some of it is how a daemon that was killed leaves its files, and no damage. Never
//! repairs.

use std::path::PathBuf;

use trimtab_control::journal::frame::Damage;
use trimtab_control::time::Time;

/// One thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Bytes are not what was written; the rest of the segment cannot be read.
    #[error("{}, byte {offset}: {what}; the rest of the segment is not read", file.display())]
    Damage {
        /// The segment.
        file: PathBuf,
        /// Where the record begins.
        offset: u64,
        /// What is wrong there.
        what: Damage,
    },
    /// It ends in the middle of a record, as it does where its writer was killed.
    #[error("{}, byte {offset}: the last record is torn, as a daemon that is killed leaves it; it is not read", file.display())]
    Torn {
        /// The segment.
        file: PathBuf,
        /// Where the record begins.
        offset: u64,
    },
    /// It has changed since the next segment began.
    #[error("{}: it is not as it was when the next segment began ({was} bytes then, {is} now): its end was cut or changed", file.display())]
    Changed {
        /// The segment.
        file: PathBuf,
        /// Bytes it had.
        was: u64,
        /// Bytes it has.
        is: u64,
    },
    /// Segments that should lie between two others.
    #[error("{}: the {count} segment(s) before it are missing", file.display())]
    Missing {
        /// The segment after them.
        file: PathBuf,
        /// How many.
        count: u64,
    },
    /// What could not be written at the time.
    #[error("{}: before it something could not be recorded ({why})", file.display())]
    Gap {
        /// The segment after it.
        file: PathBuf,
        /// When recording went on.
        at: Time,
        /// Why.
        why: String,
    },
    /// Its name and what it says of itself are two things.
    #[error("{}: it is segment {number} of {workload}, by what it says of itself", file.display())]
    Misplaced {
        /// The segment.
        file: PathBuf,
        /// The number it says.
        number: u64,
        /// The workload it says.
        workload: String,
    },
    /// The computed state at its beginning is not the recorded one.
    #[error("{}: the state that was computed up to it is not the state that it begins with", file.display())]
    State {
        /// The segment.
        file: PathBuf,
    },
    /// A module of that time cannot be had.
    #[error("module {digest}: {why}; what it decided cannot be computed again")]
    Module {
        /// Which.
        digest: String,
        /// Why.
        why: String,
    },
    /// A file cannot be read.
    #[error("{}: {why}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl Flaw {
    /// Whether something is damaged or missing. A torn end is what a kill leaves.
    #[must_use]
    pub fn is_serious(&self) -> bool {
        !matches!(self, Flaw::Torn { .. })
    }
}
