//! The loader: what lies in the directories against what serves, name by name.
//!
//! For: the one owner of all that is known of the modules; everything else sees snapshots. A good version is replaced
//! by a better one only, and removed by `forget` only. Never runs on a tick's thread.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use trimtab_sandbox::{Admitted, Refusal, Sandbox, Stage, digest_of};

use super::file::{self, Stamp};
use super::kept::{Kept, KeptName, KeptVersion};
use super::scan::{Found, scan};
use super::standing::{Name, Seen, Version, entry};
use super::{Candidate, Entry, Key, ModuleEvent, ModulesConfig, Request, Snapshot};

/// Digests remembered as failed.
const FAILED: usize = 1024;
/// How often, and after what, files that are being written are looked at again at the start.
const FIRST_LOOKS: usize = 10;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// A file that changed so shortly before it was read is read again: its stamp may not show the next change.
const FRESH: Duration = Duration::from_secs(2);

pub(super) struct Loader {
    config: ModulesConfig,
    sandbox: Sandbox,
    kept: Kept,
    bundled: BTreeMap<&'static str, Candidate>,
    names: BTreeMap<Key, Name>,
    failed: BTreeMap<String, Refusal>,
    /// Kept, and not good now.
    unrestored: Vec<KeptName>,
    /// Admitted before it was known whether they are what is meant to lie there.
    ahead: Vec<Admitted>,
    dirty: bool,
    current: Arc<ArcSwap<Snapshot>>,
    revision: watch::Sender<u64>,
    stop: Arc<AtomicBool>,
}

impl Loader {
    pub(super) fn new(
        config: ModulesConfig,
        sandbox: Sandbox,
        current: Arc<ArcSwap<Snapshot>>,
        revision: watch::Sender<u64>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let kept = Kept::new(config.state.as_deref());
        let bundled = config.bundled.iter().map(|(name, bytes)| (*name, Candidate::bundled(bytes, &sandbox))).collect();
        Loader {
            config,
            sandbox,
            kept,
            bundled,
            names: BTreeMap::new(),
            failed: BTreeMap::new(),
            unrestored: Vec::new(),
            ahead: Vec::new(),
            dirty: true,
            current,
            revision,
            stop,
        }
    }

    /// What was kept, then what lies in the directories.
    pub(super) fn load_first(&mut self) {
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
    }

    fn restore(&mut self, name: &KeptName) {
        let key = name.key();
        for version in &name.versions {
            let restored = self.kept.bytes(&version.digest).map_err(|error| error.to_string());
            let restored =
                restored.and_then(|b| self.admit(&b, &version.digest).map_err(|refusal| refusal.to_string()));
            match restored {
                Ok(admitted) => {
                    let versions = &mut self.names.entry(key.clone()).or_default().versions;
                    versions.push(Version { admitted, root: version.root.clone() });
                }
                Err(message) => {
                    self.tell(&key, "keep", "unreadable", &version.digest, message);
                    // Perhaps another start can: it stays kept.
                    self.unrestored.push(KeptName { versions: vec![version.clone()], ..name.clone() });
                }
            }
        }
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
        self.ahead.clear();
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
            let root = &self.config.dirs[found.root];
            if let Ok(contents) = file::read(root, &found.path, self.sandbox.limits().module_bytes)
                && let Ok(admitted) = self.admit(&contents.bytes, &digest_of(&contents.bytes))
            {
                self.ahead.push(admitted);
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
        let read = file::read(&self.config.dirs[found.root], &found.path, self.sandbox.limits().module_bytes)
            .and_then(file::Contents::settled);
        let again = read.as_ref().map_or(Some(Instant::now()), |_| stamp_is_fresh(&found.path));
        let (digest, result) = match read {
            Ok(contents) => {
                let digest = digest_of(&contents.bytes);
                (digest.clone(), self.good(key, found, &contents.bytes, &digest, contents.stamp, again))
            }
            Err(refusal) => {
                self.names.entry(key.clone()).or_default().seen = Some(Seen { found: found.clone(), stamp, again });
                (String::new(), Err(refusal))
            }
        };
        let path = found.path.display().to_string();
        match result {
            Ok(()) => {
                self.set_problem(key, None);
                self.tell(key, "done", "ok", &digest, format!("{path} serves"));
            }
            Err(refusal) => {
                // A file that is being written is no news yet.
                if refusal.code != "changing" {
                    self.tell(key, refusal.stage.as_str(), refusal.code, &digest, format!("{path}: {refusal}"));
                }
                self.set_problem(key, Some(Refusal { message: format!("{path}: {}", refusal.message), ..refusal }));
            }
        }
    }

    /// Makes complete bytes the newest version, if they are good.
    fn good(
        &mut self,
        key: &Key,
        found: &Found,
        bytes: &[u8],
        digest: &str,
        stamp: Stamp,
        again: Option<Instant>,
    ) -> Result<(), Refusal> {
        let newest = self.names.get(key).and_then(|name| name.versions.first());
        let known = newest.is_some_and(|version| version.admitted.digest() == digest);
        let admitted = if known { None } else { Some(self.admit(bytes, digest)) };
        let root = self.config.dirs[found.root].clone();
        let name = self.names.entry(key.clone()).or_default();
        name.seen = Some(Seen { found: found.clone(), stamp: Some(stamp), again });
        if let Some(admitted) = admitted.transpose()? {
            name.versions.retain(|version| version.admitted.digest() != digest);
            name.versions.insert(0, Version { admitted, root });
            name.prune();
            self.dirty = true;
            self.keep(key);
        } else if let Some(version) = name.versions.first_mut()
            && version.root != root
        {
            version.root = root;
            self.keep(key);
        }
        Ok(())
    }

    /// Admits bytes once: what is loaded under another name, or failed before, is not compiled again.
    fn admit(&mut self, bytes: &[u8], digest: &str) -> Result<Admitted, Refusal> {
        if let Some(refusal) = self.failed.get(digest) {
            return Err(refusal.clone());
        }
        if let Some(bundled) = self.bundled.values().find(|candidate| candidate.digest() == digest) {
            return bundled.admitted().cloned();
        }
        let versions = self.names.values().flat_map(|name| &name.versions).map(|version| &version.admitted);
        if let Some(loaded) = versions.chain(&self.ahead).find(|admitted| admitted.digest() == digest) {
            return Ok(loaded.clone());
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.sandbox.admit(bytes)))
            .unwrap_or_else(|_| Err(Refusal::new(Stage::Compile, "host", "the compiler failed on it")));
        if let Err(refusal) = &result
            && refusal.code != "host"
        {
            if self.failed.len() >= FAILED {
                self.failed.clear();
            }
            self.failed.insert(digest.to_owned(), refusal.clone());
        }
        result
    }

    /// No file of a name is left, where it was.
    fn missing(&mut self, key: &Key) {
        let Some(name) = self.names.get_mut(key) else { return };
        name.seen = None;
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

    fn forget(&mut self, name: &str, tenant: Option<&str>) -> bool {
        let matches = |key: &Key| key.name == name && (tenant.is_none() || key.tenant.as_deref() == tenant);
        let forgotten: Vec<Key> = self.names.keys().filter(|key| matches(key)).cloned().collect();
        // What workloads made of versions that come back is not told again.
        self.names.iter_mut().filter(|(key, _)| matches(key)).for_each(|(_, name)| name.forget());
        self.unrestored.retain(|kept| !matches(&kept.key()));
        self.failed.clear();
        for key in &forgotten {
            self.tell(key, "forget", "ok", "", "forgotten".to_owned());
            self.keep(key);
        }
        self.dirty = true;
        self.reconcile();
        !forgotten.is_empty()
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

    /// Writes the last good versions down; a failure is told, and changes nothing that serves.
    fn keep(&mut self, key: &Key) {
        let names: Vec<KeptName> = self
            .names
            .iter()
            .filter(|(_, name)| !name.versions.is_empty())
            .map(|(key, name)| KeptName {
                tenant: key.tenant.clone(),
                name: key.name.clone(),
                versions: name
                    .versions
                    .iter()
                    .map(|v| KeptVersion { digest: v.admitted.digest().to_owned(), root: v.root.clone() })
                    .collect(),
            })
            .chain(self.unrestored.iter().cloned())
            .collect();
        let versions = || self.names.values().flat_map(|name| &name.versions);
        let bytes_of =
            |digest: &str| versions().find(|v| v.admitted.digest() == digest).map(|v| v.admitted.bytes().to_vec());
        if let Err(error) = self.kept.save(&names, bytes_of) {
            self.tell(key, "keep", "unwritable", "", format!("the last good version cannot be kept: {error}"));
        }
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
        for (name, candidate) in &self.bundled {
            let key = Key { tenant: None, name: (*name).to_owned() };
            entries.insert(key.clone(), entry(&key, &Name::default(), vec![candidate.clone()]));
        }
        // Keys of all tenants sort first, so what a tenant's name shadows is already there.
        for (key, name) in &self.names {
            let all = Key { tenant: None, name: key.name.clone() };
            let shadowed = entries.get(&all).map_or_else(Vec::new, |entry: &Entry| entry.candidates.clone());
            entries.insert(key.clone(), entry(key, name, shadowed));
        }
        self.current.store(Arc::new(Snapshot { revision, entries }));
        self.revision.send_replace(revision);
    }
}

/// When to look again at a file that changed a moment ago.
fn stamp_is_fresh(path: &std::path::Path) -> Option<Instant> {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    let age = modified.elapsed().unwrap_or_default();
    (age < FRESH).then(|| Instant::now() + FRESH)
}
