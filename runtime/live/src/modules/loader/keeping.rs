//! What outlives this process, and what ends that: last good versions, and `forget`.
//!
//! For: the loader's dealings with the state directory. Never looks into a policies directory.

use super::super::Key;
use super::super::kept::{KeptName, KeptVersion};
use super::super::standing::Version;
use super::Loader;

impl Loader {
    pub(super) fn restore(&mut self, name: &KeptName) {
        let key = name.key();
        for version in &name.versions {
            let restored = self.kept.bytes(&version.digest).map_err(|error| error.to_string());
            let limits = self.limits(&key);
            let restored = restored.and_then(|bytes| {
                let known = self.known(&bytes, &version.digest, &limits);
                // It was good once: what it takes to compile it again is known to be bearable.
                known.unwrap_or_else(|| self.foundry.admit(&bytes, &limits)).map_err(|e| e.to_string())
            });
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

    pub(super) fn forget(&mut self, name: &str, tenant: Option<&str>) -> bool {
        let matches = |key: &Key| key.name == name && (tenant.is_none() || key.tenant.as_deref() == tenant);
        let forgotten: Vec<Key> = self.names.keys().filter(|key| matches(key)).cloned().collect();
        let before = self.current.load_full();
        for (key, name) in self.names.iter_mut().filter(|(key, _)| matches(key)) {
            // What workloads made of versions that come back is not told again.
            name.forget();
            name.meanwhile = before.entries.get(key).cloned();
        }
        self.unrestored.retain(|kept| !matches(&kept.key()));
        self.foundry.forgive();
        for key in &forgotten {
            self.tell(key, "forget", "ok", "", "forgotten".to_owned());
            self.keep(key);
        }
        self.dirty = true;
        self.reconcile();
        !forgotten.is_empty()
    }

    /// Writes the last good versions down; a failure is told, and changes nothing that serves.
    pub(super) fn keep(&mut self, key: &Key) {
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
}
