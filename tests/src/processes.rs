//! Processes that a test is answerable for: found by a mark in their environment, which children inherit.
//!
//! For: knowing which replicas run, asserting that none was started or lost, and leaving none behind. Linux only. Never
//! touches a process that does not carry a mark of this suite.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// The variable that carries the mark.
pub const VARIABLE: &str = "TRIMTAB_TEST";

/// Of `/proc/PID/stat`; what Linux tells programs on every architecture of today.
const TICKS_A_SECOND: f64 = 100.0;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// In clock ticks since boot: tells two processes of one id apart.
    pub started: u64,
    /// Program and arguments.
    pub command: Vec<String>,
}

impl Process {
    /// The value of `--NAME VALUE` on its command line.
    pub fn option(&self, name: &str) -> Option<&str> {
        let at = self.command.iter().position(|word| word == name)?;
        self.command.get(at + 1).map(String::as_str)
    }

    /// The port it was told to listen on.
    pub fn port(&self) -> Option<u16> {
        self.option("--port")?.parse().ok()
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    /// The end, at once.
    pub fn kill(&self) {
        signal(self.pid, Signal::KILL);
    }

    /// A wish to end.
    pub fn terminate(&self) {
        signal(self.pid, Signal::TERM);
    }
}

/// Ends it without a word, or asks it to end. A process that is gone already is no failure.
fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Asks a process to end.
pub fn terminate(pid: u32) {
    signal(i32::try_from(pid).unwrap(), Signal::TERM);
}

/// A new mark: this test process and a number, so that what a killed test left can be told from what runs.
pub fn mark() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    static SWEPT: std::sync::Once = std::sync::Once::new();
    SWEPT.call_once(sweep);
    let own = i32::try_from(std::process::id()).unwrap();
    let started = started(own).unwrap();
    format!("{own}-{started}-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// Every process with that mark.
pub fn marked(mark: &str) -> Vec<Process> {
    all().into_iter().filter(|(found, _)| found == mark).map(|(_, process)| process).collect()
}

/// Ends every process with that mark, until there is none.
pub fn end(mark: &str) {
    // One that is about to start another is found in a later round.
    for _ in 0..100 {
        let left = marked(mark);
        if left.is_empty() {
            return;
        }
        left.iter().for_each(Process::kill);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for exactly so many.
#[track_caller]
pub fn until(mark: &str, count: usize) -> Vec<Process> {
    wait::eventually(&format!("{count} processes"), || {
        let seen = marked(mark);
        if seen.len() == count { Ok(seen) } else { Err(format!("{seen:?}")) }
    })
}

/// Ends what a test process left that was itself killed.
fn sweep() {
    for (mark, process) in all() {
        let mut parts = mark.split('-');
        let owner = parts.next().and_then(|pid| pid.parse().ok());
        let since = parts.next().and_then(|ticks| ticks.parse().ok());
        if let (Some(owner), Some(since)) = (owner, since)
            && started(owner) != Some(since)
        {
            process.kill();
        }
    }
}

/// Everything that carries a mark of this suite, zombies aside.
fn all() -> Vec<(String, Process)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mark = words(&environment)
            .find_map(|word| word.strip_prefix(VARIABLE).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned))?;
        let command = words(&fs::read(format!("/proc/{pid}/cmdline")).ok()?).collect();
        Some((mark, Process { pid, started: started(pid)?, command }))
    })
    .collect()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = String> {
    let words: Vec<String> =
        bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    words.into_iter().filter(|word| !word.is_empty())
}

/// None: there is no such process, or only what its parent has not yet taken notice of.
fn started(pid: i32) -> Option<u64> {
    let fields = stat(pid)?;
    if fields.first().is_some_and(|state| state == "Z" || state == "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// The fields of `/proc/PID/stat` from the third on.
fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident: u64,
    /// CPU seconds since its start, all threads.
    pub cpu_seconds: f64,
    /// Threads.
    pub threads: u64,
}

/// None: it is gone.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let number = |name: &str| fields.get(name)?.split_whitespace().next()?.parse::<u64>().ok();
    let stat = stat(i32::try_from(pid).ok()?)?;
    let ticks = stat.get(11)?.parse::<f64>().ok()? + stat.get(12)?.parse::<f64>().ok()?;
    Some(Usage { resident: number("VmRSS")? * 1024, cpu_seconds: ticks / TICKS_A_SECOND, threads: number("Threads")? })
}
