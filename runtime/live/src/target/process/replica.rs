//! One replica: how far it is, and what has to be done next for what it is wanted for.
//!
//! For: a small state machine over plain values; time is passed in, what has to be done comes out as a [`Job`]. Never
//! touches a process, a socket or a clock.

mod resume;
#[cfg(test)]
mod tests;

use std::time::Duration;

use trimtab_control::sample::{Replica as Reported, ReplicaState};
use trimtab_control::time::{Span, Time};

use super::life::End;
use super::record::{Goal, Identity, Kept, Phase};
use crate::target::ProcessSpec;

/// So many deaths ...
pub(super) const DEATHS: usize = 3;
/// ... within so long, and a replica has failed; it is tried once more after as long again.
pub(super) const WINDOW: Span = Span::seconds(300);
/// From TERM to KILL.
const TERM_PATIENCE: Span = Span::seconds(10);
/// Calls to sleep or wake that fail in a row until the process is replaced.
const CALLS: u32 = 3;
/// Readings without work, one after the other, until a replica counts as drained.
const QUIET: u8 = 2;
/// The longest wait between two tries.
const LONGEST: Span = Span::seconds(30);

/// What has to be done for a replica now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Start its process.
    Spawn,
    /// Ask until it answers that it is ready.
    Probe,
    /// Make the call that sends it to sleep.
    Enter,
    /// Make the call that wakes it.
    Leave,
    /// Ask its process to end.
    Term,
    /// End its process.
    Kill,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It moved on: look once more.
    Again,
    /// Nothing until something happens, or that instant.
    Wait(Option<Time>),
    /// It is to be started (again), and needs a port for that.
    Port,
    Do(Job),
    /// There is nothing of it any more.
    Gone,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) kept: Kept,
    /// Of the job in flight, or the last one: what comes of an older one does not count any more.
    pub(super) ticket: u64,
    pub(super) busy: bool,
    /// Requests running and queued, as last read.
    pub(super) work: Option<f64>,
    /// What is wrong with it, for a person; cleaned.
    pub(super) trouble: Option<String>,
    quiet: u8,
    read_at: Time,
    calls_failed: u32,
    call_again: Time,
    /// When its process was last signalled by this daemon.
    signalled: Option<Time>,
    /// As it was last reported.
    shown: ReplicaState,
}

/// Grows from half a second, doubled with each try.
pub(super) fn back_off(tries: u32) -> Span {
    Span(500_u64 << tries.saturating_sub(1).min(10)).min(LONGEST)
}

fn state(kept: &Kept) -> ReplicaState {
    match (kept.phase, kept.goal) {
        (Phase::Failed { .. }, Goal::Serve | Goal::Standby) => ReplicaState::Failed,
        (Phase::Ready, Goal::Serve) => ReplicaState::Ready,
        (Phase::Standby, Goal::Standby) => ReplicaState::Standby,
        // What is on its way to sleep holds its GPU and is no capacity to come.
        (_, Goal::Standby | Goal::End) | (Phase::Draining, Goal::Serve) => ReplicaState::Draining,
        (_, Goal::Serve) => ReplicaState::Starting,
    }
}

impl Replica {
    pub(super) fn new(kept: Kept) -> Replica {
        let shown = state(&kept);
        Replica {
            kept,
            shown,
            ticket: 0,
            busy: false,
            work: None,
            trouble: None,
            quiet: 0,
            read_at: Time(0),
            calls_failed: 0,
            call_again: Time(0),
            signalled: None,
        }
    }

    /// What the daemon is told.
    pub(super) fn state(&self) -> ReplicaState {
        state(&self.kept)
    }

    pub(super) fn report(&self) -> Reported {
        let state = self.state();
        let restarting = self.kept.restarting && state == ReplicaState::Starting;
        Reported { id: self.kept.name.as_str().into(), state, since: self.kept.since, restarting }
    }

    /// Whether it answers requests: it serves, or finishes its work.
    pub(super) fn answers(&self) -> bool {
        matches!(self.kept.phase, Phase::Ready | Phase::Draining)
    }

    /// Whether what came of this job still counts.
    pub(super) fn awaits(&self, ticket: u64) -> bool {
        self.busy && self.ticket == ticket
    }

    /// What comes next; called until it is a wait, or it is gone.
    pub(super) fn next(&mut self, spec: &ProcessSpec, now: Time) -> Next {
        let (phase, goal, entered) = (self.kept.phase, self.kept.goal, self.kept.entered);
        match (phase, goal) {
            // A start that is under way is waited for: there may be a process already.
            (Phase::Intended, _) if self.busy => Next::Wait(None),
            (Phase::Intended | Phase::Waiting { .. } | Phase::Failed { .. }, Goal::End) => Next::Gone,
            (Phase::Intended, _) => self.job(Job::Spawn),
            (Phase::Waiting { until } | Phase::Failed { until }, _) if now < until => Next::Wait(Some(until)),
            (Phase::Waiting { .. } | Phase::Failed { .. }, _) => Next::Port,
            (Phase::Starting | Phase::Entering | Phase::Standby | Phase::Leaving, Goal::End) => {
                self.move_on(Phase::Ending, now)
            }
            (Phase::Starting, _) if now >= entered + spec.ready.timeout => {
                let message = format!("was not ready within {}", spec.ready.timeout);
                self.give_up(message, now)
            }
            (Phase::Starting, _) => self.unless_busy(Job::Probe, Some(entered + spec.ready.timeout)),
            (Phase::Ready, Goal::Serve) | (Phase::Standby, Goal::Standby) => Next::Wait(None),
            (Phase::Ready, _) => self.move_on(Phase::Draining, now),
            (Phase::Draining, Goal::Serve) => self.move_on(Phase::Ready, now),
            (Phase::Draining, _) if !self.drained(spec, now) => Next::Wait(Some(entered + spec.drain.timeout)),
            (Phase::Draining, Goal::End) => self.move_on(Phase::Ending, now),
            // A call is never cut off for another: the server must not get both at once.
            (Phase::Entering | Phase::Leaving, _) if self.busy => Next::Wait(None),
            (Phase::Draining | Phase::Leaving, Goal::Standby) => self.move_on(Phase::Entering, now),
            (Phase::Entering | Phase::Standby, Goal::Serve) => self.move_on(Phase::Leaving, now),
            (Phase::Entering | Phase::Leaving, _) if now < self.call_again => Next::Wait(Some(self.call_again)),
            (Phase::Entering, Goal::Standby) => self.job(Job::Enter),
            (Phase::Leaving, Goal::Serve) => self.job(Job::Leave),
            (Phase::Ending, _) => self.signal(now),
        }
    }

    /// A reading of its work. Two in a row without any, the second after the grace, and it is drained.
    pub(super) fn note_work(&mut self, work: f64, at: Time, spec: &ProcessSpec) {
        if at <= self.read_at || work.is_nan() {
            return;
        }
        self.read_at = at;
        self.work = Some(work);
        if self.kept.phase == Phase::Draining && at > self.kept.entered {
            let idle = work <= 0.0;
            let after_grace = at >= self.kept.entered + spec.drain.grace;
            self.quiet = match (idle, self.quiet) {
                (false, _) => 0,
                (true, 0) => 1,
                // One before the grace ended is remembered, the one that decides comes after.
                (true, _) if after_grace => QUIET,
                (true, n) => n,
            };
        }
    }

    fn drained(&self, spec: &ProcessSpec, now: Time) -> bool {
        self.quiet >= QUIET || now >= self.kept.entered + spec.drain.timeout
    }

    /// Its process runs.
    pub(super) fn spawned(&mut self, process: Identity, now: Time) {
        self.kept.process = Some(process);
        self.move_on(Phase::Starting, now);
    }

    /// It answered that it is ready.
    pub(super) fn answered(&mut self, now: Time) {
        let next = match self.kept.goal {
            // It never served in this life: there is nothing to drain.
            Goal::Standby => Phase::Entering,
            Goal::Serve | Goal::End => Phase::Ready,
        };
        self.settled();
        self.move_on(next, now);
    }

    /// What came of the call that sends it to sleep, or wakes it.
    pub(super) fn called(&mut self, result: Result<(), String>, now: Time) {
        let entering = self.kept.phase == Phase::Entering;
        match result {
            Ok(()) if entering => {
                self.settled();
                self.move_on(Phase::Standby, now);
            }
            // Awake; it still has to answer that it is ready.
            Ok(()) => {
                self.move_on(Phase::Starting, now);
            }
            Err(message) => {
                self.busy = false;
                self.calls_failed += 1;
                if self.calls_failed >= CALLS {
                    let message = format!("{message}, {CALLS} times in a row");
                    self.give_up(message, now);
                } else {
                    let again = back_off(self.calls_failed);
                    self.call_again = now + again;
                    self.trouble = Some(format!("{message}; tried again in {again}"));
                }
            }
        }
    }

    /// Its process ended. It serves nobody any more, and has died once what it started has ended too.
    pub(super) fn first_ended(&mut self, now: Time) {
        self.kept.restarting = true;
        if self.kept.phase != Phase::Ending {
            // What was wrong before is not why it ended.
            self.trouble = None;
            self.move_on(Phase::Ending, now);
            // What is left has been asked to end.
            self.signalled = Some(now);
        }
    }

    /// Its process and what it started ended, or it could not be started.
    pub(super) fn died(&mut self, end: &End, now: Time) {
        self.kept.process = None;
        if self.kept.goal == Goal::End {
            self.move_on(Phase::Waiting { until: now }, now);
            return;
        }
        let kept = &mut self.kept;
        kept.restarting = true;
        kept.tries = kept.tries.saturating_add(1);
        kept.deaths.retain(|at| now.since(*at) < WINDOW);
        kept.deaths.push(now);
        let why = match (self.trouble.take(), kept.phase) {
            // Ended by us, for a reason that says more than the signal.
            (Some(reason), Phase::Ending) => reason,
            _ => end.how.clone(),
        };
        let output = if end.output.is_empty() { String::new() } else { format!("; it last printed: {}", end.output) };
        if kept.given_up || kept.deaths.len() >= DEATHS {
            let count = kept.deaths.len();
            kept.given_up = true;
            let plural = if count == 1 { "death" } else { "deaths" };
            self.trouble =
                Some(format!("failed ({count} {plural} within {WINDOW}), tried again in {WINDOW}: {why}{output}"));
            self.move_on(Phase::Failed { until: now + WINDOW }, now);
        } else {
            let again = back_off(kept.tries);
            self.trouble = Some(format!("{why}, started again in {again}{output}"));
            self.move_on(Phase::Waiting { until: now + again }, now);
        }
    }

    /// It may be started at once: what is started has changed, or the host started anew.
    pub(super) fn try_again(&mut self, now: Time) {
        if let Phase::Waiting { until } | Phase::Failed { until } = &mut self.kept.phase {
            *until = now;
            self.kept.given_up = false;
            self.kept.deaths.clear();
        }
    }

    /// Notes since when it is in the state that is reported.
    pub(super) fn settle(&mut self, now: Time) {
        if self.state() != self.shown {
            self.shown = self.state();
            self.kept.since = now;
        }
    }

    /// It gets a port and a command line, and is started.
    pub(super) fn restart(&mut self, port: u16, command: Vec<String>, now: Time) {
        self.kept.port = port;
        self.kept.nth = self.kept.nth.saturating_add(1);
        self.kept.command = command;
        self.move_on(Phase::Intended, now);
    }

    fn job(&mut self, job: Job) -> Next {
        self.busy = true;
        self.ticket += 1;
        Next::Do(job)
    }

    fn unless_busy(&mut self, job: Job, until: Option<Time>) -> Next {
        if self.busy { Next::Wait(until) } else { self.job(job) }
    }

    fn move_on(&mut self, phase: Phase, now: Time) -> Next {
        self.kept.phase = phase;
        self.kept.entered = now;
        self.busy = false;
        self.quiet = 0;
        self.calls_failed = 0;
        self.call_again = now;
        self.signalled = None;
        Next::Again
    }

    /// Ends its process for a reason of its own; that counts as a death.
    fn give_up(&mut self, message: String, now: Time) -> Next {
        self.trouble = Some(message);
        self.move_on(Phase::Ending, now)
    }

    fn settled(&mut self) {
        self.kept.restarting = false;
        self.kept.given_up = false;
        self.kept.tries = 0;
        self.trouble = None;
    }

    fn signal(&mut self, now: Time) -> Next {
        let end = self.kept.entered + TERM_PATIENCE;
        let due = match self.signalled {
            None => return self.signalled_with(if now < end { Job::Term } else { Job::Kill }, now),
            Some(at) => end.max(at + TERM_PATIENCE),
        };
        if now < due { Next::Wait(Some(due)) } else { self.signalled_with(Job::Kill, now) }
    }

    fn signalled_with(&mut self, job: Job, now: Time) -> Next {
        self.signalled = Some(now);
        Next::Do(job)
    }
}

/// As the runtime wants it.
pub(super) fn duration(span: Span) -> Duration {
    Duration::from_millis(span.0)
}
