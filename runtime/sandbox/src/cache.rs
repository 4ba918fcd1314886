//! Machine code of modules that were compiled before, so that a restart compiles nothing.
//!
//! For: a folder that only this user can write. An entry is named by the module's digest, by what the engine and this
//! program's way to compile come to, and by its own digest, which is computed again before it is loaded: one that is
//! damaged, cut short, foreign or not a plain file of ours is removed, and its module is compiled again. Refusals are
//! remembered beside. Bounded in number, size and age. Never takes machine code from anywhere else.

mod folder;
mod trusted;

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine::Engines;
use crate::inspect::hex;
use crate::limits::Limits;
use crate::refusal::{Refusal, Stage};
use folder::Folder;
pub(crate) use trusted::from_bytes as load_code;

/// Entries, and the bytes of all of them.
const ENTRIES: usize = 4096;
const BYTES: u64 = 1 << 30;
/// One that nobody used for so long goes.
const AGE: Duration = Duration::from_secs(30 * 86_400);
/// The time of use is written down no more often than this.
const TOUCH: Duration = Duration::from_secs(3600);
/// Raised when the same engine makes other code of the same module.
const FORM: u32 = 1;
/// Of a remembered refusal.
const REFUSAL_BYTES: u64 = 16 << 10;

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder cannot be made, opened or read.
    #[error("{}: machine code cannot be kept: {source}", .path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could put machine code there, which this process would run.
    #[error("{}: machine code is not kept in a folder that {who} can write; `chmod 700` it, or remove it", .path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        who: &'static str,
    },
}

/// See the module.
pub(crate) struct Cache {
    folder: Folder,
    key: String,
    entries: Mutex<BTreeMap<Of, Entry>>,
}

/// What an entry is kept for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    /// The machine code of the module with this digest.
    Code(String),
    /// Why there is none.
    Refusal(String),
}

/// What is kept of a module.
#[derive(Debug, Clone)]
struct Entry {
    /// The file's name.
    name: String,
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// Opens the folder, which is made where there is none.
    pub(crate) fn open(path: &Path, engine: &Engine) -> Result<Cache, CacheError> {
        let folder = Folder::open(path)?;
        let key = key(engine);
        let cache = Cache { folder, key, entries: Mutex::default() };
        cache.look(path)?;
        Ok(cache)
    }

    /// Notes what is there, and removes what nothing can use.
    fn look(&self, path: &Path) -> Result<(), CacheError> {
        let unusable = |source| CacheError::Unusable { path: path.to_owned(), source };
        let now = SystemTime::now();
        for name in self.folder.names().map_err(unusable)? {
            let fresh = |used: SystemTime| now.duration_since(used).is_ok_and(|age| age < AGE);
            match (self.kept_for(&name), self.folder.size_and_time(&name)) {
                (Some(of), Some((bytes, used))) if fresh(used) => {
                    self.with(|entries| entries.insert(of, Entry { name, bytes, used }));
                }
                // Of another engine, too old, or left behind by a process that was killed.
                _ => self.folder.remove(&name),
            }
        }
        self.with(|entries| self.make_room(entries));
        Ok(())
    }

    /// The machine code of a module, loaded.
    pub(crate) fn load(&self, engines: &Engines, digest: &str) -> Option<Component> {
        let of = Of::Code(digest.to_owned());
        let (file, name) = self.open_kept(&of)?;
        let whole = folder::digest(&file).is_ok_and(|code| Some(code.as_str()) == name.get(82..146));
        let loaded = if whole { engines.place(|engine| trusted::from_file(engine, &file)).ok() } else { None };
        if loaded.is_none() {
            self.drop_entry(&of);
        }
        loaded
    }

    /// Keeps machine code that was compiled a moment ago, and loads it from where it lies. None: it could not be kept,
    /// which costs a compile at the next start.
    pub(crate) fn keep(&self, engines: &Engines, digest: &str, code: &[u8]) -> Option<Component> {
        let name = format!("{}.{}.{}.cwasm", digest.strip_prefix("sha256:")?, self.key, hex(&Sha256::digest(code)));
        self.put(Of::Code(digest.to_owned()), name, code)?;
        self.load(engines, digest)
    }

    /// Why a module was refused when it was compiled within the same bounds.
    pub(crate) fn refusal(&self, digest: &str, limits: &Limits) -> Option<Refusal> {
        let (mut file, _) = self.open_kept(&Of::Refusal(digest.to_owned()))?;
        let mut text = String::new();
        (&mut file).take(REFUSAL_BYTES).read_to_string(&mut text).ok()?;
        let (within, refusal) = text.split_once('\n')?;
        (within == bounds(limits)).then(|| Refusal::read(refusal.as_bytes(), limits.text_bytes)).flatten()
    }

    /// Remembers why a module does not compile, so that a restart does not try it again.
    pub(crate) fn refuse(&self, digest: &str, limits: &Limits, refusal: &Refusal) {
        if refusal.stage != Stage::Compile || refusal.code == "host" || refusal.code == "compile-wall" {
            return; // that was this machine, at that moment
        }
        let Some(module) = digest.strip_prefix("sha256:") else { return };
        let name = format!("{module}.{}.refused", self.key);
        if let Ok(text) = serde_json::to_string(refusal) {
            // What cannot be kept is compiled once more, and refused once more.
            let _ = self.put(Of::Refusal(digest.to_owned()), name, format!("{}\n{text}", bounds(limits)).as_bytes());
        }
    }

    fn put(&self, of: Of, name: String, bytes: &[u8]) -> Option<()> {
        self.folder.write(&name, bytes).ok()?;
        let entry = Entry { name, bytes: bytes.len() as u64, used: SystemTime::now() };
        self.with(|entries| {
            let before = entries.insert(of, entry.clone());
            before.filter(|before| before.name != entry.name).inspect(|before| self.folder.remove(&before.name));
            self.make_room(entries);
        });
        Some(())
    }

    /// An entry's file and name. Marks it as used.
    fn open_kept(&self, of: &Of) -> Option<(File, String)> {
        let Entry { name, used, .. } = self.with(|entries| entries.get(of).cloned())?;
        let Some(file) = self.folder.open_own(&name) else {
            self.drop_entry(of);
            return None;
        };
        if used.elapsed().is_ok_and(|since| since > TOUCH) {
            self.folder.touch(&file);
            self.with(|entries| entries.get_mut(of).map(|entry| entry.used = SystemTime::now()));
        }
        Some((file, name))
    }

    fn drop_entry(&self, of: &Of) {
        if let Some(entry) = self.with(|entries| entries.remove(of)) {
            self.folder.remove(&entry.name);
        }
    }

    /// Removes the entries that were not used for longest until the rest is within the bounds.
    fn make_room(&self, entries: &mut BTreeMap<Of, Entry>) {
        let mut bytes: u64 = entries.values().map(|entry| entry.bytes).sum();
        while entries.len() > ENTRIES || bytes > BYTES {
            let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(digest, _)| digest.clone())
            else {
                return;
            };
            if let Some(entry) = entries.remove(&oldest) {
                bytes -= entry.bytes;
                self.folder.remove(&entry.name);
            }
        }
    }

    /// What a file of this engine is kept for, by its name: `MODULE.KEY.CODE.cwasm` or `MODULE.KEY.refused`.
    fn kept_for(&self, name: &str) -> Option<Of> {
        let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let parts: Vec<&str> = name.split('.').collect();
        match *parts {
            [module, key, code, "cwasm"] if is_hex(module) && is_hex(code) && key == self.key => {
                Some(Of::Code(format!("sha256:{module}")))
            }
            [module, key, "refused"] if is_hex(module) && key == self.key => {
                Some(Of::Refusal(format!("sha256:{module}")))
            }
            _ => None,
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<Of, Entry>) -> R) -> R {
        f(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The bounds a refusal depends on: within others the module may compile.
fn bounds(limits: &Limits) -> String {
    let Limits { module_bytes, compile_cpu, compile_memory, code_bytes, .. } = limits;
    format!("{module_bytes} {} {compile_memory} {code_bytes}", compile_cpu.as_secs())
}

/// What the machine code depends on beside the module: the engine with its settings and the processor, the contract's
/// text, with which core modules are wrapped, and this program's version.
fn key(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn finish(&self) -> u64 {
            0
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut sha = Sha(Sha256::new());
    (FORM, env!("CARGO_PKG_VERSION"), crate::wrap::POLICY_WIT).hash(&mut sha);
    engine.precompile_compatibility_hash().hash(&mut sha);
    hex(&sha.0.finalize())[..16].to_owned()
}

#[cfg(test)]
mod tests;
