//! Compiling new modules beside everything else: a queue for each tenant, and a thread for each core.
//!
//! For: fairness. One module of a tenant is compiled at a time, tenants in turn, so that a hundred modules that take
//! minutes each delay another tenant's by no more than one of them. A waiting module is a path, not bytes. Never decides
//! what becomes of a module: the loader does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use trimtab_sandbox::{Admitted, Limits, Refusal, Sandbox, Stage, digest_of};

use super::file;
use super::scan::Found;

/// Whose module it is; none: of all.
type Tenant = Option<String>;

/// A module to compile.
pub(super) struct Job {
    pub(super) tenant: Tenant,
    /// Of the bytes that were found.
    pub(super) digest: String,
    /// Where they lie.
    pub(super) found: Found,
    pub(super) root: std::path::PathBuf,
    pub(super) limits: Arc<Limits>,
}

/// What came of it.
pub(super) struct Done {
    pub(super) tenant: Tenant,
    pub(super) digest: String,
    pub(super) limits: Arc<Limits>,
    /// None: other bytes lie there by now.
    pub(super) result: Option<Result<Admitted, Refusal>>,
}

#[derive(Default)]
struct Queue {
    waiting: BTreeMap<Tenant, VecDeque<Job>>,
    running: BTreeSet<Tenant>,
    /// Whose turn it was last.
    last: Tenant,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: Condvar,
}

/// See the module. Dropping it ends the threads after what they compile now.
pub(super) struct Admissions(Arc<Shared>);

impl Admissions {
    /// Starts the threads; `tell` is told of every module that was tried, from one of them.
    pub(super) fn start(
        sandbox: &Sandbox,
        tell: impl Fn(Done) + Send + Clone + 'static,
    ) -> std::io::Result<Admissions> {
        let shared = Arc::new(Shared::default());
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        for n in 0..cores {
            let (shared, sandbox, tell) = (Arc::clone(&shared), sandbox.clone(), tell.clone());
            let name = format!("admission-{n}");
            std::thread::Builder::new().name(name).spawn(move || {
                while let Some(job) = shared.next() {
                    let done = admit(&sandbox, job);
                    shared.finished(&done.tenant);
                    tell(done);
                }
            })?;
        }
        Ok(Admissions(shared))
    }

    /// Queues a module.
    pub(super) fn submit(&self, job: Job) {
        self.0.with(|queue| queue.waiting.entry(job.tenant.clone()).or_default().push_back(job));
        self.0.news.notify_one();
    }
}

impl Drop for Admissions {
    fn drop(&mut self) {
        self.0.with(|queue| queue.stop = true);
        self.0.news.notify_all();
    }
}

impl Shared {
    fn with<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        f(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the next module to compile. None: it is over.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if queue.stop {
                return None;
            }
            if let Some(job) = queue.take() {
                return Some(job);
            }
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finished(&self, tenant: &Tenant) {
        self.with(|queue| queue.running.remove(tenant));
        self.news.notify_one();
    }
}

impl Queue {
    /// The oldest module of the next tenant that has one and none at work.
    fn take(&mut self) -> Option<Job> {
        let after = self.waiting.range((Bound::Excluded(&self.last), Bound::Unbounded));
        let from_the_first = self.waiting.range(..=&self.last);
        let tenant =
            after.chain(from_the_first).map(|(tenant, _)| tenant).find(|t| !self.running.contains(*t))?.clone();
        let jobs = self.waiting.get_mut(&tenant)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&tenant);
        }
        self.running.insert(tenant.clone());
        self.last = tenant;
        job
    }
}

fn admit(sandbox: &Sandbox, Job { tenant, digest, found, root, limits }: Job) -> Done {
    let result = match file::read(&root, &found.path, limits.module_bytes) {
        Ok(contents) if digest_of(&contents.bytes) == digest => {
            let admit = AssertUnwindSafe(|| sandbox.admit_under(&contents.bytes, &limits));
            Some(catch_unwind(admit).unwrap_or_else(|_| {
                Err(Refusal::new(Stage::Compile, "host", "admitting it failed inside the daemon; see its log"))
            }))
        }
        _ => None,
    };
    Done { tenant, digest, limits, result }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(tenant: &str, digest: &str) -> Job {
        Job {
            tenant: Some(tenant.to_owned()),
            digest: digest.to_owned(),
            found: Found { root: 0, path: "x".into() },
            root: "x".into(),
            limits: Arc::default(),
        }
    }

    #[test]
    fn tenants_take_turns_and_have_one_at_work_each() {
        let mut queue = Queue::default();
        for (tenant, digest) in [("a", "1"), ("a", "2"), ("a", "3"), ("b", "4"), ("c", "5")] {
            queue.waiting.entry(Some(tenant.to_owned())).or_default().push_back(job(tenant, digest));
        }
        let mut take = |ended: Option<&str>| {
            queue.running.retain(|tenant| tenant.as_deref() != ended);
            queue.take().map(|job| job.digest)
        };
        assert_eq!(take(None).as_deref(), Some("1"));
        assert_eq!(take(None).as_deref(), Some("4"));
        assert_eq!(take(Some("a")).as_deref(), Some("5"), "it is the third tenant's turn");
        assert_eq!(take(Some("c")).as_deref(), Some("2"));
        assert_eq!(take(None), None, "the first has one at work, and nobody else waits");
        assert_eq!(take(Some("a")).as_deref(), Some("3"));
    }
}
