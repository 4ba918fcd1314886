//! The daemon: one tick per workload on its own interval, and everything that feeds it.
//!
//! For: joining manifests, modules, sources, targets, store and control. No tick waits for another workload's scrape,
//! policy or action. Never does arithmetic on replica counts, never reads an argument, never prints.

mod executor;
mod held;
mod labels;
mod measured;
mod own_port;
mod schedule;
mod steward;
mod supervisor;
mod view;
mod wiring;
mod workload;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trimtab_control::{Arbiter, Slot};
use trimtab_sandbox::{Allocator, Compiler, Sandbox, SandboxConfig, SandboxError};

pub use own_port::problems as own_addresses;
pub use view::{Command, Daemon, OrderError, SourceView, StageView, View};

use crate::client::Client;
use crate::clock::Clock;
use crate::journal::Journals;
use crate::manifest::{self, Problem, Scaler, Standing};
use crate::metrics::Metrics;
use crate::modules::{ModuleEvent, Modules, ModulesConfig, ModulesError};
use crate::stages::{self, Fit};
use crate::store::{Store, StoreError};
use crate::target::{Processes, keep_files};
use supervisor::Supervisor;
use view::Shared;
use wiring::Environment;
use workload::Common;

/// What a daemon is made from.
pub struct DaemonConfig {
    /// Manifests: files and folders.
    pub manifests: Vec<PathBuf>,
    /// Policies directories; of several the later wins.
    pub policies: Vec<PathBuf>,
    /// The state directory.
    pub state: PathBuf,
    /// Policies inside the binary.
    pub bundled: Vec<(&'static str, &'static [u8])>,
    /// Where instances of modules live.
    pub allocator: Allocator,
    /// Where modules are compiled.
    pub compiler: Compiler,
    /// Decide, and ask no target.
    pub dry_run: bool,
    /// The admin port, which no manifest may name. None: there is none.
    pub listen: Option<SocketAddr>,
    /// The clock.
    pub clock: Clock,
}

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Manifests are wrong, or what they name is.
    #[error("{} problem(s) in the manifests", .0.len())]
    Manifests(Vec<Problem>),
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The policy loader cannot start.
    #[error(transparent)]
    Modules(#[from] ModulesError),
    /// The thread that writes journals cannot start.
    #[error("the journals' thread cannot start")]
    Journals(#[from] std::io::Error),
}

/// Everything that may fail has been tried, and nothing runs yet.
pub struct Prepared {
    shared: Arc<Shared>,
    standing: Standing,
    store: Store,
    journals: Journals,
    fits: Vec<(Arc<Scaler>, Vec<Fit>)>,
    /// Those whose modules are still being compiled.
    waiting: Vec<(Arc<Scaler>, Vec<Problem>)>,
    paths: Vec<PathBuf>,
    listen: Option<SocketAddr>,
    clock: Clock,
    dry_run: bool,
}

/// A daemon that runs.
pub struct Running {
    /// Its handle.
    pub daemon: Daemon,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
}

/// Reads manifests, opens the state, loads and tries the policies. Blocks; nothing is started or bound.
pub fn prepare(config: DaemonConfig) -> Result<Prepared, StartError> {
    let standing = Standing::start(manifest::load(&config.manifests)).map_err(StartError::Manifests)?;
    let own: Vec<Problem> = standing.scalers().flat_map(|scaler| own_port::problems(scaler, config.listen)).collect();
    if !own.is_empty() {
        return Err(StartError::Manifests(own));
    }
    let store = Store::open(&config.state)?;
    if let Some(repaired) = store.repaired() {
        tracing::error!("{repaired}");
    }
    let journals = Journals::start(store.directory())?;
    // Children of any kind get none of the files that this process was born with.
    keep_files();
    let sandbox = Sandbox::new(SandboxConfig {
        allocator: config.allocator,
        compiler: config.compiler.clone(),
        cache: Some(store.directory().join("compiled")),
        ..SandboxConfig::default()
    })?;
    if let Some(problem) = sandbox.cache_problem() {
        tracing::error!("{problem}");
    }
    let metrics = Arc::new(Metrics::new());
    let modules = ModulesConfig {
        dirs: config.policies.clone(),
        state: Some(store.directory().to_path_buf()),
        bundled: config.bundled.clone(),
        watch: true,
        wanted: standing.scalers().flat_map(wanted).collect(),
        tenants: Arc::new(standing.tenants()),
        on_event: Box::new({
            let metrics = Arc::clone(&metrics);
            move |event| tell(event, &metrics)
        }),
    };
    let modules = Modules::start(modules, sandbox)?;
    let snapshot = modules.snapshot();
    let mut problems = Vec::new();
    let (mut fits, mut waiting) = (Vec::new(), Vec::new());
    for scaler in standing.scalers() {
        let (found, wrong) = stages::check(scaler, &snapshot);
        if found.iter().any(Fit::is_awaited)
            && found.iter().all(|fit| fit.serves.is_some() || fit.is_awaited() || fit.is_needless())
        {
            waiting.push((Arc::clone(scaler), wrong));
        } else {
            problems.extend(wrong);
            fits.push((Arc::clone(scaler), found));
        }
    }
    if !problems.is_empty() {
        return Err(StartError::Manifests(problems));
    }
    let shared = Arc::new(Shared {
        seats: ArcSwap::from_pointee(BTreeMap::new()),
        problems: ArcSwap::from_pointee(Vec::new()),
        modules,
        metrics,
    });
    let DaemonConfig { manifests: paths, listen, clock, dry_run, .. } = config;
    Ok(Prepared { shared, standing, store, journals, fits, waiting, paths, listen, clock, dry_run })
}

/// Namespace and name of every policy that a workload needs.
fn wanted(scaler: &Arc<Scaler>) -> Vec<(String, String)> {
    let namespace = &scaler.config.id.namespace;
    let needed = stages::wishes(scaler).into_iter().filter(|wish| wish.slot != Slot::Shadow);
    needed.map(|wish| (namespace.clone(), wish.module.policy)).collect()
}

/// One line and one count for what happened to a module file.
fn tell(event: &ModuleEvent, metrics: &Metrics) {
    let tenant = event.key.tenant.as_deref().unwrap_or("");
    metrics.policy_load(tenant, &event.key.name, event.stage, event.result);
    let name = event.key.name.as_str();
    if event.result == "ok" {
        tracing::info!(policy = name, tenant, stage = event.stage, digest = event.digest, "{}", event.message);
    } else {
        tracing::warn!(
            policy = name,
            tenant,
            stage = event.stage,
            code = event.result,
            digest = event.digest,
            "{}",
            event.message
        );
    }
}

impl Prepared {
    /// Starts every workload. Call within a runtime.
    pub fn start(self, stop_replicas: bool) -> Running {
        let metrics = Arc::clone(&self.shared.metrics);
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        let client = Client::new();
        let processes = Processes::open(&self.store, &client, &self.clock);
        let common = Common {
            arbiter: Arc::new(Mutex::new(Arbiter::new())),
            permits: Arc::new(Semaphore::new((2 * cores).clamp(4, 32))),
            environment: Environment { client, clock: self.clock, store: self.store, processes, metrics },
            dry_run: self.dry_run,
            journals: self.journals,
        };
        let mut supervisor = Supervisor::new(Arc::clone(&self.shared), common, self.paths, self.listen, self.standing);
        for (scaler, fits) in &self.fits {
            supervisor.admit(scaler, fits);
        }
        for (scaler, problems) in self.waiting {
            supervisor.await_modules(scaler, problems);
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(supervisor.run(stop.clone(), stop_replicas));
        Running { daemon: Daemon { shared: self.shared }, stop, supervisor: task }
    }
}

impl Running {
    /// Ends within 2 s, and leaves replicas as they are unless it was started to stop them.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the supervisor ended by a fault of ours");
        }
    }
}
