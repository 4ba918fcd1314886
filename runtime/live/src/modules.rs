//! The policies directories: what is loaded, what serves, and why something does not.
//!
//! For: one immutable snapshot of every policy by name and tenant, kept true by a thread of its own: file events are
//! hints, the whole directory is reconciled by stat and content, modules are admitted off the tick path, and a version
//! that was good serves on until a better one comes or a person says `forget`. Never touches a workload: what a
//! workload's configuration makes of a version is reported here by the daemon.

mod admissions;
mod candidate;
mod file;
mod foundry;
mod kept;
mod loader;
mod scan;
mod standing;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{oneshot, watch as latest};
use trimtab_sandbox::{Limits, Refusal, Sandbox};

use crate::tenants::Tenants;

pub use candidate::Candidate;

/// The code of what is said of a name while its module is compiled for the first time.
pub const COMPILING: &str = "compiling";
/// The loader may take so long to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Which policy: a name, for one tenant or for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// None: every tenant.
    pub tenant: Option<String>,
    /// The file's name without `.wasm`.
    pub name: String,
}

/// `NAME`, or `TENANT/NAME`.
impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(tenant) = &self.tenant {
            write!(f, "{tenant}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Where the serving version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Inside the binary.
    Bundled,
    /// A policies directory.
    Directory,
}

/// How a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// What lies there serves.
    Ok,
    /// What lies there, or does not any more, is not what serves: an earlier good version does.
    LastGood,
    /// Nothing serves.
    Failed,
}

/// One name as it stands.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name.
    pub key: Key,
    /// `sha256:HEX` of what serves; empty when nothing does.
    pub digest: String,
    /// Where that came from.
    pub source: Origin,
    /// How it stands.
    pub state: State,
    /// Why it is not `ok`, or which workloads refused the newest version; cleaned. Empty: nothing to say.
    pub message: String,
    /// Why what lies under the name is not a good version, or that nothing lies there any more.
    pub problem: Option<Refusal>,
    /// Versions to try for a workload, best first: the newest, those before it, then what the name shadows. A workload
    /// takes the first that accepts its configuration and probe.
    pub candidates: Vec<Candidate>,
}

impl Entry {
    /// The version that serves, where no workload objects.
    pub fn serving(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.digest() == self.digest).or_else(|| self.candidates.first())
    }
}

/// Every name, at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Grows with every change.
    pub revision: u64,
    entries: BTreeMap<Key, Entry>,
    tenants: Arc<Tenants>,
}

impl Snapshot {
    /// What `name` means to a tenant: its own, else that of all.
    pub fn resolve(&self, tenant: &str, name: &str) -> Option<&Entry> {
        let own = Key { tenant: Some(tenant.to_owned()), name: name.to_owned() };
        self.entries.get(&own).or_else(|| self.entries.get(&Key { tenant: None, name: name.to_owned() }))
    }

    /// The limits of a tenant's calls.
    pub fn limits(&self, tenant: &str) -> &Arc<Limits> {
        self.tenants.limits(Some(tenant))
    }

    /// Every entry, those of all tenants first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}

/// Something happened to a name: for the log and `policy_loads_total`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleEvent {
    /// The name.
    pub key: Key,
    /// Where it ended: a stage of admission, `done`, `gone`, `forget` or `keep`.
    pub stage: &'static str,
    /// `ok`, or a stable code; safe as a label.
    pub result: &'static str,
    /// The digest concerned; empty where there is none.
    pub digest: String,
    /// One line, cleaned.
    pub message: String,
}

/// What to load, and whom to tell.
pub struct ModulesConfig {
    /// Policies directories; of several the later wins. One that is missing counts as empty.
    pub dirs: Vec<PathBuf>,
    /// The state directory; none: nothing is kept.
    pub state: Option<PathBuf>,
    /// Policies inside the binary.
    pub bundled: Vec<(&'static str, &'static [u8])>,
    /// False: load once (`check`, `policy list`).
    pub watch: bool,
    /// Namespaces, and policies that workloads in them need: the start waits a while for their modules.
    pub wanted: Vec<(String, String)>,
    /// What each tenant may use.
    pub tenants: Arc<Tenants>,
    /// Told of every event, from the loader's thread; must not block.
    pub on_event: Box<dyn Fn(&ModuleEvent) + Send>,
}

/// What the loader is asked.
enum Request {
    /// Something may have changed.
    Hint,
    /// Drop what was kept of a name.
    Forget { name: String, tenant: Option<String>, done: oneshot::Sender<bool> },
    /// What a workload made of a version.
    Verdict { key: Key, workload: String, digest: String, refused: Option<String> },
    /// A workload is no more.
    Withdraw { workload: String },
    /// Other limits.
    Tenants(Arc<Tenants>),
    /// A module was compiled.
    Admitted(admissions::Done),
    /// End.
    Stop,
}

/// The loader's handle. Dropping it ends the thread.
pub struct Modules {
    current: Arc<ArcSwap<Snapshot>>,
    revisions: latest::Receiver<u64>,
    requests: Sender<Request>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The loader's thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the policy loader cannot start")]
pub struct ModulesError(#[from] std::io::Error);

impl Modules {
    /// Loads everything, then goes on in a thread. Blocks while it compiles: call it where that is allowed.
    pub fn start(config: ModulesConfig, sandbox: Sandbox) -> Result<Self, ModulesError> {
        let current = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let (revision, revisions) = latest::channel(0);
        let (requests, inbox) = mpsc::channel();
        let watches = config.watch;
        let dirs = config.dirs.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let admissions = {
            let requests = requests.clone();
            // A loader that has ended needs no modules.
            admissions::Admissions::start(&sandbox, move |done| drop(requests.send(Request::Admitted(done))))?
        };
        let foundry = foundry::Foundry::new(sandbox, admissions, &config.bundled);
        let mut loader = loader::Loader::new(config, foundry, Arc::clone(&current), revision, Arc::clone(&stop));
        loader.load_first(&inbox);
        let thread = if watches {
            let hints = requests.clone();
            let body = move || watch::run(&mut loader, &inbox, &dirs, &hints);
            Some(std::thread::Builder::new().name("policy-loader".into()).spawn(body)?)
        } else {
            None
        };
        Ok(Modules { current, revisions, requests, stop, thread })
    }

    /// Every name as it stands now. Never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// What the calls of a tenant may cost now. Never waits.
    pub fn limits(&self, tenant: &str) -> Arc<Limits> {
        Arc::clone(self.current.load().limits(tenant))
    }

    /// Tells when a new snapshot is there.
    pub fn changes(&self) -> latest::Receiver<u64> {
        self.revisions.clone()
    }

    /// Drops the last good versions of a name (of one tenant, or wherever it stands): what lies in the directories
    /// counts again, or what the name shadowed. False: there was nothing to forget.
    pub async fn forget(&self, name: &str, tenant: Option<&str>) -> bool {
        let (done, answer) = oneshot::channel();
        self.ask(Request::Forget { name: name.to_owned(), tenant: tenant.map(str::to_owned), done });
        answer.await.unwrap_or(false)
    }

    /// Reports what a workload (`NAMESPACE/NAME`) made of a version: taken, or refused. Whoever tries the candidates in
    /// turn reports each; a version that a workload has taken is kept until it takes another.
    pub fn report(&self, key: &Key, workload: &str, digest: &str, verdict: Result<(), &Refusal>) {
        self.ask(Request::Verdict {
            key: key.clone(),
            workload: workload.to_owned(),
            digest: digest.to_owned(),
            refused: verdict.err().map(ToString::to_string),
        });
    }

    /// Forgets what a workload that is no more reported.
    pub fn withdraw(&self, workload: &str) {
        self.ask(Request::Withdraw { workload: workload.to_owned() });
    }

    /// Says what each tenant may use from now on.
    pub fn set_tenants(&self, tenants: Arc<Tenants>) {
        self.ask(Request::Tenants(tenants));
    }

    /// A request to a loader that has ended has no effect.
    fn ask(&self, request: Request) {
        let _ = self.requests.send(request);
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.ask(Request::Stop);
        // A module that takes long to compile is not waited for: every file that the loader writes is renamed into place,
        // and a panic of it was reported by the panic hook.
        let latest = Instant::now() + LAST_WORDS;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < latest {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests;
