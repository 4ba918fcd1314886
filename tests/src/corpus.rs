//! The hostile corpus as bytes: `tests/hostile`, expanded and assembled.
//!
//! For: tests that play it in a sandbox, and those that drop all of it on a daemon. Never reads what a case expects.

mod expand;

use std::path::{Path, PathBuf};

use crate::place;

/// The folder of the corpus.
pub fn folder() -> PathBuf {
    place::root().join("tests/hostile")
}

/// The files of its modules, in order.
pub fn modules() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder().join("modules")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The module, or whatever bytes it is.
pub fn assemble(path: &Path) -> Result<Vec<u8>, String> {
    text(&std::fs::read_to_string(path).map_err(|e| e.to_string())?)
}

/// The same of a text.
pub fn text(text: &str) -> Result<Vec<u8>, String> {
    let text = expand::expand(text, &folder().join("parts"))?;
    wat::parse_str(text).map_err(|e| e.to_string())
}
