//! The one import: lines that a policy writes for its author.
//!
//! For: bounding them in number and length as they arrive, so that a flood costs the guest its own time and the host
//! nothing. Never forwards a line anywhere: they travel with the call's result.

use trimtab_control::policy::{Level, LogLine};

use crate::bindings::trimtab::policy::{log, types};
use crate::guest::CallData;
use crate::text::clean;

/// The lines of one call.
pub(crate) struct GuestLog {
    lines: Vec<LogLine>,
    dropped: u64,
    max_lines: usize,
    max_bytes: usize,
}

impl GuestLog {
    pub(crate) fn new(max_lines: usize, max_bytes: usize) -> Self {
        GuestLog { lines: Vec::new(), dropped: 0, max_lines, max_bytes }
    }

    fn push(&mut self, level: Level, message: &str) {
        if self.lines.len() < self.max_lines {
            self.lines.push(LogLine { level, message: clean(message, self.max_bytes) });
        } else {
            self.dropped += 1;
        }
    }

    /// The lines kept. Where some were dropped, the last place says how many.
    pub(crate) fn finish(mut self) -> Vec<LogLine> {
        if self.dropped > 0
            && let Some(last) = self.lines.last_mut()
        {
            *last = LogLine { level: Level::Warn, message: format!("{} more lines were dropped", self.dropped + 1) };
        }
        self.lines
    }
}

impl log::Host for CallData {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.push(level, &message);
    }
}

impl types::Host for CallData {}
