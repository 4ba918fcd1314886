//! One running process and what it has started: signalled, watched, reaped.
//!
//! For: never signalling a process that only has the number of one of ours. Each is pinned (pidfd) before it is looked
//! at, and signalled through that pin. Never starts a process, and never ends one that it was not told to.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::host;

/// What the first process of a session leaves behind is asked to end, and ended after so long.
const LEFTOVERS: Duration = Duration::from_secs(10);
/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(50);
/// After KILL; a process that the kernel holds may take longer, and is then let be.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// How a process ended that was gone when a daemon came.
pub(super) const UNWATCHED: &str = "ended while no daemon watched it";

/// A replica's process, the first of its session; or what such a one has left.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) start: u64,
    pub(super) log: PathBuf,
    /// Where its output begins in the log.
    pub(super) log_from: u64,
    /// It is a child of this process: its end has to be collected, and its status is known.
    pub(super) child: bool,
    token: String,
    /// None: it ended when no daemon ran, and only its token tells what it had started.
    pin: Option<Arc<OwnedFd>>,
}

/// How a process ended: a line for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) how: String,
    /// The last that it printed, escaped.
    pub(super) output: String,
}

impl Process {
    /// A child that was just started and not waited for: its number cannot have gone to another.
    pub(super) fn child(pid: i32, token: &str, log: PathBuf, log_from: u64) -> io::Result<Process> {
        let pin = Some(Arc::new(pin(pid)?));
        let start = host::stat(pid).map(|stat| stat.start);
        let start = start.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat cannot be read")))?;
        Ok(Process { pid, start, log, log_from, child: true, token: token.into(), pin })
    }

    /// A process that was there before; none: it has ended, and its number may be another's.
    pub(super) fn adopt(pid: i32, start: u64, token: &str, log: PathBuf) -> Option<Process> {
        let pin = Some(Arc::new(pin(pid).ok()?));
        let there = host::stat(pid).is_some_and(|stat| stat.start == start && !stat.ended);
        there.then(|| Process { pid, start, log, log_from: 0, child: false, token: token.into(), pin })
    }

    /// What carries the token of a process that ended when no daemon ran. Nobody can have a number that is nought.
    pub(super) fn leftovers(token: &str, log: PathBuf) -> Process {
        Process { pid: 0, start: 0, log, log_from: 0, child: false, token: token.into(), pin: None }
    }

    /// Signals it and what it has started: everything in its session, and everything that carries its token. Blocks.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pin) = &self.pin {
            // An error: it ended in the meantime, which is as good.
            let _ = pidfd_send_signal(pin, signal);
        }
        for member in self.others() {
            let _ = pidfd_send_signal(member, signal);
        }
    }

    /// Pins of what it has started and has not ended. Blocks.
    fn others(&self) -> Vec<OwnedFd> {
        let member = |pid: i32| {
            let before = host::stat(pid).filter(|stat| pid != self.pid && !stat.ended)?;
            let theirs = |stat: host::Stat| {
                let in_session = stat.session == self.pid && self.holds_its_number();
                in_session || host::marks(pid).is_some_and(|marks| marks.token == self.token)
            };
            if !theirs(before) {
                return None;
            }
            let pin = pin(pid).ok()?;
            // Looked at again now that the number cannot change hands.
            let now = host::stat(pid).filter(|now| now.start == before.start && !now.ended)?;
            theirs(now).then_some(pin)
        };
        host::pids().unwrap_or_default().into_iter().filter_map(member).collect()
    }

    /// True while no other process can have its number: it runs, or its end was not collected yet.
    fn holds_its_number(&self) -> bool {
        self.stat().is_some()
    }

    fn runs(&self) -> bool {
        self.stat().is_some_and(|stat| !stat.ended)
    }

    fn stat(&self) -> Option<host::Stat> {
        self.pin.as_ref()?;
        host::stat(self.pid).filter(|stat| stat.start == self.start)
    }

    /// Once it has ended: waits until nothing that it started is left; collects it where it is a child. Leftovers are
    /// asked to end, then ended: they would hold the GPU and the port that the next one needs.
    pub(super) async fn all_ended(self: Arc<Self>, lasted: Duration) -> End {
        // Not collected before: while its number is held, its session is known to be its own.
        self.sweep().await;
        let how = self.collect(lasted);
        // A panic in there was reported by the panic hook.
        let output = spawn_blocking(move || super::log::tail(&self.log, self.log_from)).await.unwrap_or_default();
        End { how, output }
    }

    /// Waits until it has ended itself; how long that took.
    pub(super) async fn first_ended(&self) -> Duration {
        let began = Instant::now();
        let Some(pin) = self.pin.clone() else { return Duration::ZERO };
        // Its successor asks for a promise that the file stays open and the same, which sharing it keeps.
        #[expect(deprecated)]
        let pin = AsyncFd::with_interest(pin, Interest::READABLE);
        if let Ok(pin) = pin
            && pin.readable().await.is_ok()
        {
            return began.elapsed();
        }
        // A kernel whose pins cannot be waited for.
        while self.runs() {
            sleep(Duration::from_millis(200)).await;
        }
        began.elapsed()
    }

    async fn sweep(self: &Arc<Self>) {
        let began = Instant::now();
        let mut asked = false;
        while began.elapsed() < LEFTOVERS + AFTER_KILL {
            let patient = began.elapsed() < LEFTOVERS;
            let signal = match (asked, patient) {
                (_, false) => Some(Signal::KILL),
                (false, true) => Some(Signal::TERM),
                (true, true) => None,
            };
            let leader = self.clone();
            let look = move || {
                let left = leader.others();
                if let Some(signal) = signal {
                    for member in &left {
                        // An error: it ended in the meantime.
                        let _ = pidfd_send_signal(member, signal);
                    }
                }
                left.is_empty()
            };
            if spawn_blocking(look).await.unwrap_or(true) {
                return;
            }
            asked = true;
            sleep(LOOK).await;
        }
    }

    fn collect(&self, lasted: Duration) -> String {
        let lasted = format!("{:.1} s", lasted.as_secs_f64());
        let Some(pin) = &self.pin else { return UNWATCHED.into() };
        if !self.child {
            return "ended".into();
        }
        match waitid(WaitId::PidFd(pin.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("exited with status {code} after {lasted}"),
                (_, Some(signal)) => format!("was ended by signal {signal} after {lasted}"),
                _ => format!("ended after {lasted}"),
            },
            Ok(None) | Err(_) => format!("ended after {lasted}"),
        }
    }
}

/// Asks all to end, waits up to `patience`, ends those that are left.
pub(super) async fn end_all(processes: Vec<Arc<Process>>, patience: Duration) {
    if signal_all(&processes, Signal::TERM, patience).await {
        return;
    }
    signal_all(&processes, Signal::KILL, AFTER_KILL).await;
}

/// Whether all have ended in time.
async fn signal_all(processes: &[Arc<Process>], signal: Signal, patience: Duration) -> bool {
    let each = |process: &Arc<Process>| {
        let process = process.clone();
        spawn_blocking(move || process.signal(signal))
    };
    futures_util::future::join_all(processes.iter().map(each)).await;
    let until = Instant::now() + patience;
    for process in processes {
        loop {
            let process = process.clone();
            let there = move || process.runs() || !process.others().is_empty();
            if !spawn_blocking(there).await.unwrap_or(false) {
                break;
            }
            if Instant::now() > until {
                return false;
            }
            sleep(LOOK).await;
        }
    }
    true
}

fn pin(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}
