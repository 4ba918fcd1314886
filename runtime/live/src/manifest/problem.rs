//! What is wrong with a manifest, said so that a person can mend it: the place, the mistake, the fix.
//!
//! For: one message per mistake, and a collector that keeps the path of the field being read. Text of the manifest is
//! quoted only through `quoted`, which escapes and shortens it. Never prints or logs.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// More problems of one document than this are counted, not kept.
const KEPT: usize = 50;

/// Characters of the manifest's own text that a message repeats.
const QUOTED: usize = 60;

/// A line and a column, both from 1; columns count characters. Line 0: the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Spot {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// A spot in a file; written `file:line:column`, or `file` alone for the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As it was named to the reader.
    pub file: Arc<str>,
    /// Where in it.
    pub spot: Spot,
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn file(name: &str) -> Place {
        Place { file: name.into(), spot: Spot::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.file.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        if self.spot.line > 0 {
            write!(f, ":{}:{}", self.spot.line, self.spot.column)?;
        }
        Ok(())
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which step of reading found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The file could not be read as text.
    Read,
    /// The text is not YAML.
    Yaml,
    /// The YAML is not a manifest of this version.
    Manifest,
    /// A policy that it names is missing, or does not take the workload.
    Admission(trimtab_sandbox::Stage),
    /// What the daemon remembers cannot be written.
    State,
}

impl Step {
    /// As it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Read => "read",
            Step::Yaml => "yaml",
            Step::Manifest => "manifest",
            Step::Admission(stage) => stage.as_str(),
            Step::State => "state",
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Which step of reading found it.
    pub stage: Step,
    /// What is wrong; one line.
    pub message: String,
    /// The fix; one line, never empty.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place, self.message, self.hint)
    }
}

/// `text` between back-quotes, control characters escaped, cut after 60 characters.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == QUOTED {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Collects the problems of one document, and knows which field is being read.
#[derive(Debug)]
pub(super) struct Report {
    file: Arc<str>,
    path: Vec<String>,
    problems: Vec<Problem>,
    found: usize,
}

impl Report {
    pub(super) fn new(file: &Arc<str>) -> Report {
        Report { file: Arc::clone(file), path: Vec::new(), problems: Vec::new(), found: 0 }
    }

    /// Problems found so far, those not kept too.
    pub(super) fn found(&self) -> usize {
        self.found
    }

    pub(super) fn place(&self, spot: Spot) -> Place {
        Place { file: Arc::clone(&self.file), spot }
    }

    /// A mistake in the YAML itself.
    pub(super) fn yaml(&mut self, spot: Spot, message: impl Into<String>, hint: impl Into<String>) {
        self.push(spot, Step::Yaml, message.into(), hint.into());
    }

    /// A mistake in the field being read; the message begins with its path.
    pub(super) fn field(&mut self, spot: Spot, what: impl fmt::Display, hint: impl Into<String>) {
        let path = self.path();
        let message = if path.is_empty() { what.to_string() } else { format!("{path}: {what}") };
        self.push(spot, Step::Manifest, message, hint.into());
    }

    /// Reads a part of the field being read: `key` is a field's name, or `[3]` in a list.
    pub(super) fn within<R>(&mut self, key: &str, read: impl FnOnce(&mut Report) -> R) -> R {
        // In settings of a policy the key is whatever somebody wrote.
        self.path.push(escaped(key));
        let result = read(self);
        self.path.pop();
        result
    }

    /// All of them, in the order of their places.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.place.spot);
        if let Some(last) = self.problems.last_mut()
            && self.found > KEPT
        {
            last.message = format!("{} (and {} more problems in this document)", last.message, self.found - KEPT);
        }
        self.problems
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for part in &self.path {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        path
    }

    fn push(&mut self, spot: Spot, stage: Step, message: String, hint: String) {
        self.found += 1;
        if self.problems.len() < KEPT {
            self.problems.push(Problem { place: self.place(spot), stage, message, hint });
        }
    }
}
