//! What a source file may be: its size, header, name, and what code in `control` and `sim` may touch.

use super::tree::{Tree, code, is_test, is_word, without_tests};

const LINES: usize = 400;

/// Longer files, each with its reason.
const LONG: &[(&str, &str)] = &[("sdk/rust/src/bindings.rs", "generated")];

/// Files without a header of their own.
const BARE: &[(&str, &str)] = &[("sdk/rust/src/bindings.rs", "generated")];

const NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "types", "interfaces", "mod"];

/// Modules with such a name inside a file.
const NAMED: &[(&str, &str)] = &[("sdk/rust/src/bindings.rs", "generated from the contract's interface `types`")];

/// Modules that may hold unsafe code, each with its reason.
const UNSAFE: &[(&str, &str)] = &[
    ("runtime/live/src/target/process/session.rs", "between fork and exec, and file numbers that it was born with"),
    ("runtime/sandbox/src/bindings.rs", "generated: wasmtime's lifting traits"),
    ("runtime/sandbox/src/cache/trusted.rs", "machine code that this program made itself"),
    ("sdk/rust/src/arena.rs", "a global allocator"),
    ("sdk/rust/src/lib.rs", "names the generated bindings, which speak the canonical ABI"),
];

/// Crates that must give the same bytes for the same inputs.
const PURE: &[&str] = &["runtime/control/src/", "runtime/sim/src/"];

/// Words that are a clock, a place, or chance. `a::` stands for any path through `a`.
const AMBIENT: &[&str] = &[
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "HashMap",
    "HashSet",
    "RandomState",
    "DefaultHasher",
    "env::",
    "fs::",
    "net::",
    "process::",
    "thread::",
    "thread_local!",
    "std::io",
    "rand::rng",
    "rand::random",
    "thread_rng",
    "SysRng",
    "OsRng",
    "getrandom",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "async fn",
];
/// The same inside `use std::{...}`.
const AMBIENT_MODULES: &[&str] = &["env", "fs", "net", "process", "thread", "io"];

/// Files of more than 400 lines, tests aside.
pub(super) fn sizes(tree: &Tree) -> Vec<String> {
    let long: Vec<(&str, usize)> = tree
        .rust()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path, without_tests(text).len()))
        .filter(|(_, lines)| *lines > LINES)
        .collect();
    let new = long.iter().filter(|(path, _)| !excepted(LONG, path));
    let mut wrong: Vec<String> =
        new.map(|(path, lines)| format!("{path}: {lines} lines; a file has at most {LINES}, split it")).collect();
    wrong.extend(needless(LONG, |path| long.iter().any(|(long, _)| *long == path)));
    wrong
}

/// Files that do not say what they are for. Unit tests that lie beside their module are the module's.
pub(super) fn headers(tree: &Tree) -> Vec<String> {
    let bare: Vec<&str> = tree
        .rust()
        .filter(|(path, text)| !path.ends_with("/tests.rs") && !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    let new = bare.iter().filter(|path| !excepted(BARE, path));
    let mut wrong: Vec<String> =
        new.map(|path| format!("{path}: starts without `//!`: what it is for, and what it never does")).collect();
    wrong.extend(needless(BARE, |path| bare.contains(&path)));
    wrong
}

/// Modules whose name says nothing.
pub(super) fn names(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut named = Vec::new();
    for (path, text) in tree.rust() {
        let parts = path.trim_end_matches(".rs").split('/');
        for part in parts.filter(|part| NAMES.contains(part)) {
            wrong.push(format!("{path}: `{part}` says nothing about what is in it"));
        }
        let code = code(text);
        for line in code.lines() {
            let line = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let name = line.strip_prefix("mod ").map(|rest| rest.trim_end_matches([' ', '{', '}', ';']));
            if let Some(name) = name.filter(|name| NAMES.contains(name)) {
                if excepted(NAMED, path) {
                    named.push(path);
                } else {
                    wrong.push(format!("{path}: `mod {name}` says nothing about what is in it"));
                }
            }
        }
    }
    wrong.extend(needless(NAMED, |path| named.contains(&path)));
    wrong
}

/// Clocks, files, the environment, threads and chance in crates that must be without.
pub(super) fn ambient(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| PURE.iter().any(|pure| path.starts_with(pure)) && !is_test(path))
    {
        let code = code(text);
        for (number, line) in without_tests(&code) {
            for word in AMBIENT.iter().filter(|word| holds(line, word)) {
                wrong.push(format!(
                    "{path}:{number}: `{word}`: this crate has no clock, files, environment, threads or chance"
                ));
            }
            let group = line.trim_start().trim_start_matches("pub ").strip_prefix("use std::{").unwrap_or_default();
            let group = group.split([',', '}', ':', ' ']).map(str::trim);
            for module in group.filter(|name| AMBIENT_MODULES.contains(name)) {
                wrong
                    .push(format!("{path}:{number}: `std::{module}`: this crate has no files, environment or threads"));
            }
        }
    }
    wrong
}

/// Unsafe code outside of the modules that are known for it. The compiler denies it where no `allow` stands.
pub(super) fn unsafe_code(tree: &Tree) -> Vec<String> {
    let allowing: Vec<&str> = tree
        .rust()
        .filter(|(_, text)| code(text).lines().any(|line| line.contains("allow(") && line.contains("unsafe_code")))
        .map(|(path, _)| path)
        .collect();
    let new = allowing.iter().filter(|path| !excepted(UNSAFE, path));
    let mut wrong: Vec<String> = new.map(|path| format!("{path}: allows unsafe code and is not on the list")).collect();
    wrong.extend(needless(UNSAFE, |path| allowing.contains(&path)));
    wrong
}

/// Whether the word stands in the line, not as a part of a longer one.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].bytes().next_back();
        let after = line[at + word.len()..].bytes().next();
        let free = |byte: Option<u8>| byte.is_none_or(|b| !is_word(b));
        free(before) && (free(after) || word.ends_with("::"))
    })
}

fn excepted(list: &[(&str, &str)], path: &str) -> bool {
    list.iter().any(|(known, _)| *known == path)
}

/// Exceptions that nothing needs.
fn needless(list: &[(&str, &str)], needed: impl Fn(&str) -> bool) -> Vec<String> {
    let stale = list.iter().filter(|(path, _)| !needed(path));
    stale.map(|(path, _)| format!("{path}: the exception is no longer needed")).collect()
}

#[test]
fn words_are_found_whole() {
    assert!(
        holds("use std::time::Instant;", "Instant")
            && holds("std::fs::read()", "fs::")
            && holds("println!()", "println!")
    );
    assert!(!holds("Instants", "Instant") && !holds("offs::x", "fs::") && !holds("eprintln!()", "println!"));
}
