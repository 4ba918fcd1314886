//! What lies in the policies directories.
//!
//! For: the names, and which file wins each. Never opens a module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Key;

/// Modules looked at in one folder; more are left out. For each folder, so that nobody's files leave out another's.
const MAX_FILES: usize = 1024;
/// Tenants' folders looked at in one directory.
const MAX_FOLDERS: usize = 1024;
/// Bytes of a policy's or tenant's name.
const NAME_BYTES: usize = 63;

/// The file that wins a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Index into the directories.
    pub(super) root: usize,
    pub(super) path: PathBuf,
}

/// Every name with its winning file: of several directories the later.
pub(super) fn scan(roots: &[PathBuf]) -> BTreeMap<Key, Found> {
    let mut found = BTreeMap::new();
    for (index, root) in roots.iter().enumerate() {
        let mut folders = Vec::new();
        let mut room = MAX_FILES;
        for (name, path) in list(root) {
            if let Some(policy) = policy_name(&name) {
                add(&mut found, &mut room, Key { tenant: None, name: policy }, Found { root: index, path });
            } else if is_name(&name) && is_folder_beneath(root, &path) {
                folders.push((name, path));
            }
        }
        for (tenant, folder) in folders.into_iter().take(MAX_FOLDERS) {
            let mut room = MAX_FILES;
            for (name, path) in list(&folder) {
                if let Some(policy) = policy_name(&name) {
                    let key = Key { tenant: Some(tenant.clone()), name: policy };
                    add(&mut found, &mut room, key, Found { root: index, path });
                }
            }
        }
    }
    found
}

fn add(found: &mut BTreeMap<Key, Found>, room: &mut usize, key: Key, file: Found) {
    if *room > 0 {
        *room -= 1;
        found.insert(key, file);
    }
}

/// Names and paths, in order; nothing where the directory cannot be read.
fn list(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<(String, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn policy_name(file: &str) -> Option<String> {
    file.strip_suffix(".wasm").filter(|name| is_name(name)).map(str::to_owned)
}

fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= NAME_BYTES && !name.starts_with('.') && name.bytes().all(legal)
}

fn is_folder_beneath(root: &Path, path: &Path) -> bool {
    let (Ok(root), Ok(path)) = (root.canonicalize(), path.canonicalize()) else { return false };
    path.starts_with(root) && path.is_dir()
}
