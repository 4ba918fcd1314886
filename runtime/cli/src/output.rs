//! What reaches the terminal: tables, colours, instants and spans as people read them.
//!
//! For: one look for all verbs. Colours only on a terminal and never with `NO_COLOR`; nothing that came over a wire or
//! out of a guest is written with its control characters. Never formats JSON: that is passed on as it is.

mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use table::{Align, Table};

/// How a reading verb answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: stable field names.
    Json,
}

/// The `-o` of reading verbs.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// For people or for programs
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

impl OutputArgs {
    /// True when a program reads.
    pub(crate) fn json(&self) -> bool {
        self.format == Format::Json
    }
}

/// Where a verb writes.
#[derive(Debug)]
pub(crate) struct Console {
    colour_out: bool,
    colour_err: bool,
    /// Standard output is a terminal: a live picture may be drawn.
    pub(crate) interactive: bool,
    /// Standard error is a terminal: progress may be shown.
    pub(crate) progress: bool,
}

impl Console {
    /// What this process was started with.
    pub(crate) fn detect() -> Console {
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let interactive = io::stdout().is_terminal();
        let progress = io::stderr().is_terminal();
        Console { colour_out: allowed && interactive, colour_err: allowed && progress, interactive, progress }
    }

    /// Colours of standard output.
    pub(crate) fn paint(&self) -> Paint {
        Paint { on: self.colour_out }
    }

    /// Colours of standard error.
    pub(crate) fn paint_errors(&self) -> Paint {
        Paint { on: self.colour_err }
    }

    /// Whether standard error may have colours.
    pub(crate) fn colours_on_errors(&self) -> bool {
        self.colour_err
    }

    /// Writes text and a line end on standard output.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Writes a value as JSON on standard output.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.print(&serde_json::to_string_pretty(value)?)?;
        Ok(())
    }

    /// A line on standard error. That it cannot be written is no reason to fail.
    pub(crate) fn note(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// A line on standard error that tells of progress: only where a person watches.
    pub(crate) fn progress(&self, line: &str) {
        if self.progress {
            self.note(line);
        }
    }
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Paint = Paint { on: false };

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Headings and what matters.
    pub(crate) fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What is there for completeness.
    pub(crate) fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// All is well.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Look at this.
    pub(crate) fn odd(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// This is wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }
}

/// Text from elsewhere, made harmless for a terminal: control characters (line ends aside) become escapes.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A digest short enough for a table: `sha256:` and twelve digits.
pub(crate) fn short_digest(digest: &str) -> String {
    clean(&digest.chars().take("sha256:".len() + 12).collect::<String>())
}

/// A number as people write it: no digits that say nothing.
pub(crate) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let digits = match value.abs() {
        v if v >= 100.0 => 1,
        v if v >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

/// An age or a span in seconds, to two units: `0.4s`, `12s`, `3m 20s`, `2h 5m`.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.1}s"),
        v if v < 60.0 => format!("{v:.0}s"),
        v if v < 3600.0 => format!("{:.0}m {:.0}s", (v / 60.0).floor(), (v % 60.0).floor()),
        v => format!("{:.0}h {:.0}m", (v / 3600.0).floor(), (v % 3600.0 / 60.0).floor()),
    }
}

/// Bytes with a binary unit.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        n if n < 1024 => format!("{n} B"),
        n if n < 1024 * 1024 => format!("{:.1} KiB", n as f64 / 1024.0),
        n => format!("{:.1} MiB", n as f64 / (1024.0 * 1024.0)),
    }
}

/// How long ago an RFC 3339 instant was, in words; empty where it is none.
pub(crate) fn ago(instant: &str) -> String {
    let Ok(then) = instant.parse::<jiff::Timestamp>() else { return String::new() };
    let passed = jiff::Timestamp::now().duration_since(then).as_secs_f64();
    if passed < 0.0 { "in the future".to_owned() } else { format!("{} ago", seconds(passed)) }
}
