//! Policy files as people drop them: the shipped ones, and the same again under other digests.
//!
//! For: swaps. A custom section changes a module's digest and nothing that it does.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::place;

/// The prebuilt file of a shipped policy.
pub fn shipped(name: &str) -> Vec<u8> {
    let path = place::root().join(format!("policies/{name}/{name}.wasm"));
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The same module with another digest: a custom section named `edition` at its end.
pub fn edition(module: &[u8], number: u32) -> Vec<u8> {
    let name = b"edition";
    let text = number.to_string();
    let length = 1 + name.len() + text.len();
    let mut bytes = module.to_vec();
    bytes.extend([0, u8::try_from(length).unwrap(), u8::try_from(name.len()).unwrap()]);
    bytes.extend(name);
    bytes.extend(text.bytes());
    bytes
}

/// As the daemon names it.
pub fn digest(module: &[u8]) -> String {
    Sha256::digest(module).iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Writes beside, then renames over: the file is there whole or not at all.
pub fn put(path: &Path, bytes: &[u8]) {
    let new = path.with_file_name(format!(".{}.new", path.file_name().unwrap().to_str().unwrap()));
    fs::write(&new, bytes).unwrap();
    fs::rename(&new, path).unwrap();
}
