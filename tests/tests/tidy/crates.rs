//! What crates may use: edges between ours, and crates of others.

use std::collections::BTreeSet;

use super::metadata::Metadata;
use super::tree::Tree;

/// Our crates, and which of ours each may use, of any kind.
const EDGES: &[(&str, &[&str])] = &[
    ("trimtab-control", &[]),
    ("trimtab-sandbox", &["trimtab-control"]),
    ("trimtab-sim", &["trimtab-control"]),
    ("trimtab-engine", &["trimtab-sim"]),
    ("trimtab-live", &["trimtab-control", "trimtab-sandbox"]),
    ("trimtab-cli", &["trimtab-control", "trimtab-sandbox", "trimtab-sim", "trimtab-engine", "trimtab-live"]),
    ("trimtab-sdk", &[]),
];

const ASYNC_AND_NETS: &[&str] = &[
    "async-std",
    "axum",
    "futures",
    "futures-util",
    "http",
    "hyper",
    "hyper-util",
    "k8s-openapi",
    "kube",
    "mio",
    "nvml-wrapper",
    "reqwest",
    "smol",
    "tokio",
    "tokio-util",
    "tonic",
];
const WASM: &[&str] = &["wasmparser", "wasmtime", "wat", "wit-component", "wit-parser"];
const CLOCKS_AND_THREADS: &[&str] =
    &["chrono", "crossbeam", "jiff", "libc", "notify", "parking_lot", "rayon", "rustix", "time"];
const ENTROPY: &[&str] = &["ahash", "fastrand", "getrandom", "hashbrown", "rand", "uuid"];
const APPLICATIONS: &[&str] = &["anyhow", "clap", "tracing-subscriber"];

/// Which crates of others each of ours must not name, outside of its tests. Policies and the SDK are in `GUESTS`.
const NEVER: &[(&str, &[&[&str]])] = &[
    ("trimtab-control", &[ASYNC_AND_NETS, WASM, CLOCKS_AND_THREADS, ENTROPY, APPLICATIONS, &["rusqlite", "tracing"]]),
    ("trimtab-sandbox", &[ASYNC_AND_NETS, APPLICATIONS, &["notify", "rusqlite"]]),
    ("trimtab-sim", &[ASYNC_AND_NETS, WASM, CLOCKS_AND_THREADS, APPLICATIONS, &["getrandom", "rusqlite", "tracing"]]),
    ("trimtab-engine", &[WASM, APPLICATIONS, &["kube", "rusqlite"]]),
    ("trimtab-live", &[APPLICATIONS]),
];

/// What a policy, or the SDK, may name: all of it ends up in a guest.
const GUESTS: &[&str] = &["serde", "serde_json", "libm", "wit-bindgen"];

/// What must not even be reached through others.
const OUT_OF_REACH: &[(&str, &[&[&str]])] = &[
    ("trimtab-control", &[ASYNC_AND_NETS, WASM, CLOCKS_AND_THREADS, ENTROPY]),
    ("trimtab-sim", &[&["tokio", "mio", "hyper", "rayon", "kube"], WASM]),
    ("trimtab-sandbox", &[&["tokio", "mio", "hyper", "kube", "reqwest"]]),
    ("trimtab-sdk", &[ASYNC_AND_NETS, CLOCKS_AND_THREADS, ENTROPY]),
];

/// Licences that may be linked into the binary.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A policy, or what the tests build like one.
fn is_guest(name: &str) -> bool {
    name.starts_with("policy-") || name.starts_with("guest-")
}

/// Direct edges between our crates, and that every crate takes the workspace's lints.
pub(super) fn edges(tree: &Tree) -> Vec<String> {
    let metadata = match Metadata::of(tree, false) {
        Ok(metadata) => metadata,
        Err(problem) => return vec![problem],
    };
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        for edge in package.dependencies.iter().filter(|d| ours.contains(d.name.as_str())) {
            let used = edge.name.as_str();
            let allowed = match EDGES.iter().find(|(known, _)| *known == name) {
                Some((_, allowed)) => allowed.contains(&used),
                None if is_guest(name) => used == "trimtab-sdk",
                None => name == "trimtab-tests" && used != "trimtab-cli",
            };
            if !allowed {
                wrong.push(format!("{name} must not use {used}"));
            }
        }
    }
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        if !text.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{path}: without the workspace's lints"));
        }
    }
    wrong
}

/// Crates of others that one of ours names.
pub(super) fn dependencies(tree: &Tree) -> Vec<String> {
    let metadata = match Metadata::of(tree, false) {
        Ok(metadata) => metadata,
        Err(problem) => return vec![problem],
    };
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let guest = name == "trimtab-sdk" || is_guest(name);
        let never = never(NEVER, name);
        for used in package.dependencies.iter().filter(|d| !d.is_development()) {
            let used = used.name.as_str();
            if guest && !GUESTS.contains(&used) && used != "trimtab-sdk" {
                wrong.push(format!("{name} may use only {}, not {used}", GUESTS.join(", ")));
            } else if never.contains(used) {
                wrong.push(format!("{name} must not use {used}"));
            }
        }
    }
    wrong
}

/// Crates of others that one of ours reaches through others, when it is built for this platform.
pub(super) fn closures(tree: &Tree) -> Vec<String> {
    let metadata = match Metadata::of(tree, true) {
        Ok(metadata) => metadata,
        Err(problem) => return vec![problem],
    };
    let mut wrong = Vec::new();
    for (name, lists) in OUT_OF_REACH {
        let Some(package) = metadata.member(name) else { continue };
        let never: BTreeSet<&str> = lists.iter().flat_map(|list| list.iter().copied()).collect();
        for reached in metadata.closure(package) {
            if never.contains(reached.name.as_str()) {
                wrong.push(format!("{name} reaches {}; see `cargo tree -p {name} -i {}`", reached.name, reached.name));
            }
        }
    }
    wrong
}

/// Licences of everything that is built for this platform.
pub(super) fn licences(tree: &Tree) -> Vec<String> {
    let metadata = match Metadata::of(tree, true) {
        Ok(metadata) => metadata,
        Err(problem) => return vec![problem],
    };
    let unfit = metadata.packages.iter().filter(|p| !p.license.as_deref().is_some_and(allows));
    unfit.map(|p| format!("{} {}: licence {}", p.name, p.version, p.license.as_deref().unwrap_or("unknown"))).collect()
}

/// Whether a licence expression can be met by allowed ones.
fn allows(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    // No expression nests deeper than one pair of brackets: AND of ORs.
    expression.split(" AND ").all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|one| LICENCES.contains(&one.trim()))
    })
}

fn never(table: &[(&str, &[&'static [&'static str]])], name: &str) -> BTreeSet<&'static str> {
    let lists = table.iter().filter(|(known, _)| *known == name).flat_map(|(_, lists)| lists.iter());
    lists.flat_map(|list| list.iter().copied()).collect()
}

#[test]
fn licence_expressions_are_understood() {
    assert!(allows("MIT/Apache-2.0") && allows("GPL-3.0 OR MIT") && allows("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!allows("GPL-3.0") && !allows("MIT AND GPL-3.0") && !allows("(MIT OR Apache-2.0) AND LGPL-3.0"));
}
