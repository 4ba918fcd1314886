//! `trimtab load` beside a running daemon.
//!
//! For: requests that follow the daemon's endpoints as a gateway would, and the count of those that failed. Arrivals
//! stand in a file, so that every run sends the same.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::{place, processes};

/// What came of it, as far as tests look.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Report {
    pub offered: u64,
    pub completed: u64,
    pub failed: u64,
    pub shed: u64,
    pub retries: u64,
    pub peak_endpoints: usize,
}

impl Report {
    /// Panics unless every request was answered whole.
    #[track_caller]
    pub fn assert_whole(&self, text: &str) {
        assert!(self.failed == 0 && self.shed == 0 && self.completed == self.offered && self.offered > 0, "{text}");
    }
}

/// So many requests a second for a while, all of one size.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// How long.
    pub lasting: Duration,
    /// Requests a second, evenly spaced; 0: none.
    pub rate: f64,
}

/// A part of a course.
pub fn part(seconds: u64, rate: f64) -> Part {
    Part { lasting: Duration::from_secs(seconds), rate }
}

/// The course as a trace file.
pub fn trace(parts: &[Part], input_tokens: u32, output_tokens: u32) -> String {
    let mut text = "arrival_s,input_tokens,output_tokens\n".to_owned();
    let mut start = 0.0;
    for part in parts {
        let count = (part.lasting.as_secs_f64() * part.rate).round() as u32;
        for n in 0..count {
            let at = start + f64::from(n) / part.rate;
            writeln!(text, "{at:.3},{input_tokens},{output_tokens}").unwrap();
        }
        start += part.lasting.as_secs_f64();
    }
    text
}

/// One that runs. Ended when dropped.
#[derive(Debug)]
pub struct Load {
    child: Option<Child>,
    _trace: tempfile::NamedTempFile,
}

impl Load {
    /// Follows the endpoints under that URL; the arrivals come from [`trace`].
    pub fn start(endpoints: &str, trace: &str) -> Load {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), trace).unwrap();
        let child = Command::new(place::trimtab())
            .args(["load", "--endpoints", endpoints, "--duration", "10m", "-o", "json", "--shape"])
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Load { child: Some(child), _trace: file }
    }

    /// Waits for the last answer.
    #[track_caller]
    pub fn finish(mut self) -> (Report, String) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("load: {e}: {text}{said}"));
        (report, text)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            processes::terminate(child.id());
            let _ = child.wait();
        }
    }
}
