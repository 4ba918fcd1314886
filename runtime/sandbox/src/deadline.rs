//! When a call has had its time.
//!
//! For: blaming a guest only for CPU time it used itself. Each epoch tick asks the kernel for the thread's CPU time; a
//! call that ends within one tick makes no system call at all. Never interrupts by wall time on the guest's account:
//! that is reported as the host's fault.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

/// Distance between two checks. A budget is overrun by at most two of them on an idle core: the first says where the
/// guest's own time begins.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Why a call was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It used this much CPU time.
    Cpu(Duration),
    /// The host was too slow to let it finish within the wall time.
    Wall(Duration),
}

/// The time of one store: instantiation first, then one export.
pub(crate) struct Deadline {
    began: Instant,
    wall: Duration,
    budget: Duration,
    /// Thread CPU time at the first tick of the phase; none before it.
    base: Option<Duration>,
    stopped: Option<Stopped>,
}

impl Deadline {
    /// Begins the phase of instantiation.
    pub(crate) fn start(cpu: Duration, wall: Duration) -> Self {
        Deadline { began: Instant::now(), wall, budget: cpu, base: None, stopped: None }
    }

    /// Begins the phase of the export, with a CPU budget of its own.
    pub(crate) fn arm(&mut self, cpu: Duration) {
        self.budget = cpu;
        self.base = None;
    }

    /// Called at each epoch tick, on the thread that runs the guest.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        let now = thread_cpu();
        let used = now.saturating_sub(*self.base.get_or_insert(now));
        let wall = self.began.elapsed();
        if used >= self.budget {
            self.stopped = Some(Stopped::Cpu(self.budget));
        } else if wall >= self.wall {
            self.stopped = Some(Stopped::Wall(wall));
        }
        if self.stopped.is_some() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) }
    }

    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
