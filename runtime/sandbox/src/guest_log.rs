//! The one import: lines that a policy writes for its author.
//!
//! For: bounding them in number and length as they arrive, so that a flood costs the guest its own time and the host
//! nothing. Never forwards a line anywhere: they travel with the call's result.

use trimtab_control::policy::{Level, LogLine};
use wasmtime::{Trap, UpdateDeadline};

use crate::bindings::trimtab::policy::{log, types};
use crate::guest::CallData;
use crate::limits::Limits;
use crate::text::cleaned;

/// The lines of one call.
pub(crate) struct GuestLog {
    lines: Vec<LogLine>,
    dropped: u64,
    cut: bool,
    max_lines: usize,
    max_bytes: usize,
    escape: bool,
}

impl GuestLog {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (max_lines, max_bytes, escape) = (limits.log_lines, limits.text_bytes, limits.controls.escape);
        GuestLog { lines: Vec::new(), dropped: 0, cut: false, max_lines, max_bytes, escape }
    }

    fn push(&mut self, level: Level, message: &str) {
        if self.lines.len() < self.max_lines {
            let (message, cut) = cleaned(message, self.max_bytes, self.escape);
            self.cut |= cut;
            self.lines.push(LogLine { level, message });
        } else {
            self.dropped += 1;
        }
    }

    /// True: something is missing of what the guest wrote.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut || self.dropped > 0
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
    /// Between two calls of this there may be no instruction that looks at the epoch, only copies of great texts: so the
    /// time is looked at here too.
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        if let UpdateDeadline::Interrupt = self.tick() {
            return Err(Trap::Interrupt.into());
        }
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.push(level, &message);
        Ok(())
    }
}

impl types::Host for CallData {}
