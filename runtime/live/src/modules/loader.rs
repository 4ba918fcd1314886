//! The loader: what lies in the directories against what serves, name by name.
//!
//! For: the one owner of all that is known of the modules; everything else sees snapshots. A good version is replaced
//! by a better one only, and removed by `forget` only. Never runs on a tick's thread.

mod keeping;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use trimtab_sandbox::{Admitted, Limits, Refusal, Stage, digest_of};

use super::admissions::{Done, Job};
use super::file::{self, Stamp};
use super::foundry::Foundry;
use super::kept::{Kept, KeptName};
use super::scan::{Found, scan};
use super::standing::{Name, Seen, Version, entry};
use super::{COMPILING, Entry, Key, ModuleEvent, ModulesConfig, Request, Snapshot};
use crate::tenants::Tenants;

/// How often, and after what, files that are being written are looked at again at the start.
const FIRST_LOOKS: usize = 10;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// A start waits so long for modules that workloads need and that are compiled for the first time.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// A file that changed so shortly before it was read is read again: its stamp may not show the next change.
const FRESH: Duration = Duration::from_secs(2);

pub(super) struct Loader {
    config: ModulesConfig,
    foundry: Foundry,
    kept: Kept,
    names: BTreeMap<Key, Name>,
    /// Kept, and not good now.
    unrestored: Vec<KeptName>,
    tenants: Arc<Tenants>,
    dirty: bool,
    current: Arc<ArcSwap<Snapshot>>,
    revision: watch::Sender<u64>,
    stop: Arc<AtomicBool>,
}

impl Loader {
    pub(super) fn new(
        config: ModulesConfig,
        foundry: Foundry,
        current: Arc<ArcSwap<Snapshot>>,
        revision: watch::Sender<u64>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let kept = Kept::new(config.state.as_deref());
        let tenants = Arc::clone(&config.tenants);
        Loader {
            config,
            foundry,
            kept,
            names: BTreeMap::new(),
            unrestored: Vec::new(),
            tenants,
            dirty: true,
            current,
            revision,
            stop,
        }
    }

    /// What was kept, then what lies in the directories. Waits for new modules to be compiled: where nobody watches, for
    /// all of them; else for those that workloads need, and not for long.
    pub(super) fn load_first(&mut self, inbox: &Receiver<Request>) {
        match self.kept.load() {
            Ok(names) => names.into_iter().for_each(|name| self.restore(&name)),
            Err(error) => {
                let key = Key { tenant: None, name: String::new() };
                self.tell(&key, "keep", "unreadable", "", format!("the index of kept policies: {error}"));
            }
        }
        self.reconcile();
        // A file that was put there a moment ago is waited for: whoever starts a daemon after it means it.
        for _ in 0..FIRST_LOOKS {
            if !self.wants_retry() {
                break;
            }
            std::thread::sleep(FIRST_WAIT);
            self.reconcile();
        }
        let latest = Instant::now() + START_PATIENCE;
        while self.is_awaited() {
            let left = latest.saturating_duration_since(Instant::now());
            let wait = if self.config.watch { left } else { Duration::MAX };
            match inbox.recv_timeout(wait) {
                Ok(request) => self.serve(request),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    /// Whether something is being compiled that the start is for.
    fn is_awaited(&self) -> bool {
        if !self.config.watch {
            return !self.foundry.is_idle();
        }
        self.config.wanted.iter().any(|(namespace, policy)| {
            let keys = [Some(namespace.clone()), None].map(|tenant| Key { tenant, name: policy.clone() });
            keys.iter().filter_map(|key| self.names.get(key)).any(|name| name.pending.is_some())
        })
    }

    /// Compares everything with the directories, and publishes what changed.
    pub(super) fn reconcile(&mut self) {
        let found = scan(&self.config.dirs);
        for (key, file) in &found {
            if self.stopping() {
                return;
            }
            self.look(key, file);
        }
        let gone: Vec<Key> = self.names.keys().filter(|key| !found.contains_key(key)).cloned().collect();
        for key in gone {
            self.missing(&key);
        }
        self.foundry.settle();
        self.publish();
    }

    /// Admits what seems to have changed while its storm of events may still go on: nearly always that is what lies there
    /// afterwards, so that the look after the storm compiles nothing. Says nothing, and changes nothing that serves.
    pub(super) fn look_ahead(&mut self) {
        for (key, found) in scan(&self.config.dirs) {
            let name = self.names.get(&key);
            let seen = name.and_then(|name| name.seen.as_ref());
            let known = seen.is_some_and(|seen| seen.is(&found, Stamp::of(&found.path)));
            if known || name.is_some_and(|name| self.was_hidden(name, &found)) {
                continue;
            }
            if self.stopping() {
                return;
            }
            let limits = self.limits(&key);
            if let Ok(contents) = file::read(&self.config.dirs[found.root], &found.path, limits.module_bytes) {
                let digest = digest_of(&contents.bytes);
                match self.known(&contents.bytes, &digest, &limits) {
                    Some(result) => self.foundry.hold(result),
                    None => self.compile(&key, &found, digest, limits),
                }
            }
        }
    }

    /// True while a file is being written, or something else will have to be looked at again at once.
    pub(super) fn wants_retry(&self) -> bool {
        self.names.values().any(|name| name.problem.as_ref().is_some_and(|problem| problem.code == "changing"))
    }

    pub(super) fn serve(&mut self, request: Request) {
        match request {
            Request::Forget { name, tenant, done } => {
                let forgot = self.forget(&name, tenant.as_deref());
                // Whoever asked may have gone.
                let _ = done.send(forgot);
            }
            Request::Verdict { key, workload, digest, refused } => self.verdict(&key, workload, digest, refused),
            Request::Withdraw { workload } => self.withdraw(&workload),
            Request::Tenants(tenants) => self.take_tenants(tenants),
            Request::Admitted(done) => self.admitted(done),
            Request::Hint | Request::Stop => {}
        }
    }

    /// The file that won is gone, and this is one that it hid: it must not take over by itself.
    fn was_hidden(&self, name: &Name, found: &Found) -> bool {
        let origin = name.versions.first().and_then(|v| self.config.dirs.iter().position(|dir| *dir == v.root));
        origin.is_some_and(|origin| found.root < origin)
    }

    /// The daemon ends: what was not begun is not begun any more.
    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The file that wins a name.
    fn look(&mut self, key: &Key, found: &Found) {
        if self.names.get(key).is_some_and(|name| self.was_hidden(name, found)) {
            return self.missing(key);
        }
        let name = self.names.entry(key.clone()).or_default();
        let stamp = Stamp::of(&found.path);
        let due = |seen: &Seen| seen.again.is_some_and(|again| Instant::now() >= again);
        if name.seen.as_ref().is_some_and(|seen| seen.is(found, stamp) && !due(seen)) {
            return;
        }
        let limits = self.limits(key);
        let read = file::read(&self.config.dirs[found.root], &found.path, limits.module_bytes)
            .and_then(file::Contents::settled);
        let again = read.as_ref().map_or(Some(Instant::now()), |_| stamp_is_fresh(&found.path));
        let stamp = read.as_ref().map_or(stamp, |contents| Some(contents.stamp));
        let name = self.names.entry(key.clone()).or_default();
        name.seen = Some(Seen { found: found.clone(), stamp, again });
        name.pending = None;
        let (digest, result) = match read {
            Ok(contents) => {
                let digest = digest_of(&contents.bytes);
                let Some(result) = self.known(&contents.bytes, &digest, &limits) else {
                    return self.await_compile(key, found, digest, limits);
                };
                (digest, result)
            }
            Err(refusal) => (String::new(), Err(refusal)),
        };
        self.conclude(key, found, &digest, result);
    }

    /// What came of the file that wins a name.
    fn conclude(&mut self, key: &Key, found: &Found, digest: &str, result: Result<Admitted, Refusal>) {
        let path = found.path.display().to_string();
        self.names.entry(key.clone()).or_default().meanwhile = None;
        match result {
            Ok(admitted) => {
                self.take(key, found, admitted);
                self.set_problem(key, None);
                self.tell(key, "done", "ok", digest, format!("{path} serves"));
            }
            Err(refusal) => {
                // A file that is being written is no news yet.
                if refusal.code != "changing" {
                    self.tell(key, refusal.stage.as_str(), refusal.code, digest, format!("{path}: {refusal}"));
                }
                self.set_problem(key, Some(Refusal { message: format!("{path}: {}", refusal.message), ..refusal }));
            }
        }
    }

    /// Makes a good module the newest version.
    fn take(&mut self, key: &Key, found: &Found, admitted: Admitted) {
        let root = self.config.dirs[found.root].clone();
        let name = self.names.entry(key.clone()).or_default();
        match name.versions.first_mut() {
            Some(newest) if newest.admitted.digest() == admitted.digest() => {
                if newest.root == root {
                    return;
                }
                newest.root = root;
            }
            _ => {
                name.versions.retain(|version| version.admitted.digest() != admitted.digest());
                name.versions.insert(0, Version { admitted, root });
                name.prune();
                self.dirty = true;
            }
        }
        self.keep(key);
    }

    /// A module that nobody knows yet: until it is compiled, what serves serves on.
    fn await_compile(&mut self, key: &Key, found: &Found, digest: String, limits: Arc<Limits>) {
        let name = self.names.entry(key.clone()).or_default();
        name.pending = Some(digest.clone());
        if name.versions.is_empty() && name.problem.is_none() {
            let message = format!("{} is being compiled", found.path.display());
            self.set_problem(key, Some(Refusal::new(Stage::Compile, COMPILING, message).hint("wait")));
        }
        self.compile(key, found, digest, limits);
    }

    fn compile(&mut self, key: &Key, found: &Found, digest: String, limits: Arc<Limits>) {
        let (tenant, root) = (key.tenant.clone(), self.config.dirs[found.root].clone());
        self.foundry.submit(Job { tenant, digest, found: found.clone(), root, limits });
    }

    /// What comes of bytes that need not be compiled.
    fn known(&mut self, bytes: &[u8], digest: &str, limits: &Arc<Limits>) -> Option<Result<Admitted, Refusal>> {
        let versions = self.names.values().flat_map(|name| &name.versions).map(|version| &version.admitted);
        self.foundry.known(bytes, digest, limits, versions)
    }

    /// A module was compiled, or refused.
    fn admitted(&mut self, done: Done) {
        self.foundry.finished(&done);
        let Done { tenant, digest, result, .. } = done;
        let awaits = |(key, name): &(&Key, &Name)| key.tenant == tenant && name.pending.as_ref() == Some(&digest);
        let waiting: Vec<Key> = self.names.iter().filter(awaits).map(|(key, _)| key.clone()).collect();
        for key in waiting {
            let Some(name) = self.names.get_mut(&key) else { continue };
            name.pending = None;
            match (&result, name.seen.as_ref().map(|seen| seen.found.clone())) {
                (Some(result), Some(found)) => self.conclude(&key, &found, &digest, result.clone()),
                // Other bytes lie there by now, and are looked at by and by.
                _ => name.seen = None,
            }
        }
        self.foundry.settle();
        self.publish();
    }

    fn limits(&self, key: &Key) -> Arc<Limits> {
        Arc::clone(self.tenants.limits(key.tenant.as_deref()))
    }

    /// Other limits: what was refused within those of before is looked at again.
    fn take_tenants(&mut self, tenants: Arc<Tenants>) {
        if self.tenants == tenants {
            return;
        }
        self.tenants = tenants;
        self.dirty = true;
        self.names.values_mut().filter(|name| name.problem.is_some()).for_each(|name| name.seen = None);
        self.reconcile();
    }

    /// No file of a name is left, where it was.
    fn missing(&mut self, key: &Key) {
        let Some(name) = self.names.get_mut(key) else { return };
        (name.seen, name.pending) = (None, None);
        if name.versions.is_empty() {
            self.names.remove(key);
            self.dirty = true;
            return;
        }
        let refusal = Refusal::new(Stage::Read, "gone", "its file is gone")
            .hint(format!("the last good version serves on until `trimtab policy forget {}`", key.name));
        self.tell(key, "gone", "gone", "", refusal.message.clone());
        self.set_problem(key, Some(refusal));
    }

    fn set_problem(&mut self, key: &Key, problem: Option<Refusal>) {
        let name = self.names.entry(key.clone()).or_default();
        if name.problem != problem {
            name.problem = problem;
            self.dirty = true;
        }
    }

    fn verdict(&mut self, key: &Key, workload: String, digest: String, refused: Option<String>) {
        let Some(name) = self.names.get_mut(key) else { return };
        let verdict = name.verdicts.entry(workload).or_default();
        let before = verdict.clone();
        verdict.hear(digest, refused);
        self.dirty |= before != *verdict;
        self.publish();
    }

    fn withdraw(&mut self, workload: &str) {
        for name in self.names.values_mut() {
            self.dirty |= name.verdicts.remove(workload).is_some();
        }
        self.publish();
    }

    /// One event, unless it is the last one again. Events without a name's record are always told.
    fn tell(&mut self, key: &Key, stage: &'static str, result: &'static str, digest: &str, message: String) {
        if let Some(name) = self.names.get_mut(key) {
            let told = (stage, result, digest.to_owned());
            if name.told.as_ref() == Some(&told) {
                return;
            }
            name.told = Some(told);
        }
        let event = ModuleEvent { key: key.clone(), stage, result, digest: digest.to_owned(), message };
        (self.config.on_event)(&event);
    }

    fn publish(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let revision = *self.revision.borrow() + 1;
        let mut entries = BTreeMap::new();
        for (name, candidate) in self.foundry.bundled() {
            let key = Key { tenant: None, name: (*name).to_owned() };
            entries.insert(key.clone(), entry(&key, &Name::default(), vec![candidate.clone()]));
        }
        // Keys of all tenants sort first, so what a tenant's name shadows is already there.
        for (key, name) in &self.names {
            let all = Key { tenant: None, name: key.name.clone() };
            let shadowed = entries.get(&all).map_or_else(Vec::new, |entry: &Entry| entry.candidates.clone());
            let waits = name.meanwhile.as_ref().filter(|_| name.pending.is_some());
            let entry = waits.cloned().unwrap_or_else(|| entry(key, name, shadowed));
            entries.insert(key.clone(), entry);
        }
        self.current.store(Arc::new(Snapshot { revision, entries, tenants: Arc::clone(&self.tenants) }));
        self.revision.send_replace(revision);
    }
}

/// When to look again at a file that changed a moment ago.
fn stamp_is_fresh(path: &std::path::Path) -> Option<Instant> {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    let age = modified.elapsed().unwrap_or_default();
    (age < FRESH).then(|| Instant::now() + FRESH)
}
