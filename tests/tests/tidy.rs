//! What must be true of the tree itself: edges between crates, what each crate may use, sizes, headers, names, clocks and
//! entropy, words, links.
//!
//! Each rule is a function from a tree to what is wrong with it, a line for each. Exceptions are lists beside the rule;
//! an entry that is no longer needed is wrong too, so that lists can only shrink. Never changes the tree.

mod crates;
mod layout;
mod metadata;
mod sources;
mod tree;

use std::path::Path;

use crate::place;
use tree::Tree;

type Rule = fn(&Tree) -> Vec<String>;

const RULES: &[(&str, Rule)] = &[
    ("edges", crates::edges),
    ("dependencies", crates::dependencies),
    ("closures", crates::closures),
    ("licences", crates::licences),
    ("sizes", sources::sizes),
    ("headers", sources::headers),
    ("names", sources::names),
    ("ambient", sources::ambient),
    ("unsafe", sources::unsafe_code),
    ("top level", layout::top_level),
    ("words", layout::words),
    ("contract", layout::contract),
    ("links", layout::links),
];

fn rule(name: &str) -> Rule {
    RULES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no rule `{name}`")).1
}

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::read(place::root());
    let wrong: Vec<String> =
        RULES.iter().flat_map(|(name, rule)| rule(&tree).into_iter().map(move |w| format!("{name}: {w}"))).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// One change to a copy of the tree.
enum Seed {
    /// Text behind the end of a file, which may be new.
    Append(&'static str, String),
    /// A file put in place of another.
    Write(&'static str, String),
    /// A file taken away.
    Remove(&'static str),
}
use Seed::{Append, Remove, Write};

/// A change for each thing that a rule looks for, and a part of what the rule must say.
fn seeds() -> Vec<(&'static str, Seed, &'static str)> {
    let dependency = |name: &str| format!("\n[target.'cfg(all())'.dependencies]\n{name}.workspace = true\n");
    let path =
        |name: &str, path: &str| format!("\n[target.'cfg(all())'.dependencies]\n{name} = {{ path = \"{path}\" }}\n");
    let line = |text: &str| format!("\n{text}\n");
    vec![
        (
            "edges",
            Append("runtime/live/Cargo.toml", dependency("trimtab-sim")),
            "trimtab-live must not use trimtab-sim",
        ),
        (
            "edges",
            Append("runtime/sim/Cargo.toml", dependency("trimtab-sandbox")),
            "trimtab-sim must not use trimtab-sandbox",
        ),
        (
            "edges",
            Append("policies/cooldown/Cargo.toml", dependency("trimtab-control")),
            "policy-cooldown must not use",
        ),
        (
            "edges",
            Append("tests/Cargo.toml", path("trimtab-cli", "../runtime/cli")),
            "trimtab-tests must not use trimtab-cli",
        ),
        (
            "edges",
            Write("runtime/sim/Cargo.toml", bare_manifest()),
            "runtime/sim/Cargo.toml: without the workspace's lints",
        ),
        (
            "dependencies",
            Append("runtime/control/Cargo.toml", dependency("tokio")),
            "trimtab-control must not use tokio",
        ),
        ("dependencies", Append("runtime/control/Cargo.toml", dependency("rand")), "trimtab-control must not use rand"),
        (
            "dependencies",
            Append("runtime/sandbox/Cargo.toml", dependency("hyper")),
            "trimtab-sandbox must not use hyper",
        ),
        ("dependencies", Append("runtime/sim/Cargo.toml", dependency("wasmtime")), "trimtab-sim must not use wasmtime"),
        ("dependencies", Append("runtime/live/Cargo.toml", dependency("clap")), "trimtab-live must not use clap"),
        (
            "dependencies",
            Append("runtime/engine/Cargo.toml", dependency("anyhow")),
            "trimtab-engine must not use anyhow",
        ),
        ("dependencies", Append("sdk/rust/Cargo.toml", dependency("tracing")), "trimtab-sdk may use only"),
        ("dependencies", Append("policies/schedule/Cargo.toml", dependency("jiff")), "policy-schedule may use only"),
        ("closures", Append("runtime/control/Cargo.toml", dependency("jsonschema")), "trimtab-control reaches"),
        ("licences", Write("runtime/sim/Cargo.toml", bare_manifest()), "trimtab-sim 0.1.0: licence unknown"),
        ("sizes", Write("runtime/sim/src/long.rs", "//! Long.\n".repeat(401)), "runtime/sim/src/long.rs: 401 lines"),
        ("sizes", Remove("sdk/rust/src/bindings.rs"), "sdk/rust/src/bindings.rs: the exception is no longer needed"),
        ("sizes", Write("sdk/rust/src/bindings.rs", String::new()), "the exception is no longer needed"),
        (
            "headers",
            Write("runtime/sim/src/bare.rs", "/// Bare.\npub struct Bare;\n".into()),
            "runtime/sim/src/bare.rs",
        ),
        ("names", Write("runtime/live/src/helpers.rs", "//! X.\n".into()), "runtime/live/src/helpers.rs"),
        ("names", Write("runtime/live/src/common/parts.rs", "//! X.\n".into()), "runtime/live/src/common"),
        ("names", Write("runtime/live/src/daemon/mod.rs", "//! X.\n".into()), "mod.rs"),
        ("names", Append("runtime/live/src/lib.rs", line("mod misc {}")), "`mod misc`"),
        ("ambient", Append("runtime/control/src/lib.rs", line("use std::time::Instant;")), "Instant"),
        ("ambient", Append("runtime/control/src/lib.rs", line("use std::{env, fs};")), "env"),
        ("ambient", Append("runtime/control/src/lib.rs", line("fn f() { std::fs::read(\"x\"); }")), "fs"),
        ("ambient", Append("runtime/control/src/lib.rs", line("use std::collections::HashMap;")), "HashMap"),
        ("ambient", Append("runtime/sim/src/lib.rs", line("use std::time::{Duration, SystemTime};")), "SystemTime"),
        ("ambient", Append("runtime/sim/src/lib.rs", line("fn f() { std::thread::spawn(|| ()); }")), "thread"),
        ("ambient", Append("runtime/sim/src/lib.rs", line("fn f() -> u8 { rand::random() }")), "rand::random"),
        ("ambient", Append("runtime/control/src/lib.rs", line("fn f() { jiff::Timestamp::now(); }")), "Timestamp::now"),
        ("ambient", Append("runtime/control/src/lib.rs", line("fn f() { println!(); }")), "println!"),
        ("unsafe", Append("runtime/live/src/clock.rs", line("#![allow(unsafe_code)]")), "runtime/live/src/clock.rs"),
        ("unsafe", Write("sdk/rust/src/arena.rs", "//! Safe.\n".into()), "the exception is no longer needed"),
        ("top level", Write("notes.txt", "x".into()), "notes.txt"),
        ("top level", Write("scratch/file", "x".into()), "scratch"),
        ("top level", Remove("LICENSE"), "LICENSE is missing"),
        ("words", Append("docs/cases.md", line(concat!("see /wo", "rk/main/README.md"))), "a path of one machine"),
        ("words", Append("tests/run", line(concat!("# as in iss", "ue #12"))), "iss"),
        ("words", Append("docs/cases.md", line("a pause \u{2014} here")), "dash"),
        ("contract", Write("sdk/c/policy.wit", "package trimtab:policy@0.0.9;".into()), "sdk/c/policy.wit"),
        ("contract", Remove("wit/policy.wit"), "wit/policy.wit"),
        ("links", Append("docs/cases.md", line("[gone](nowhere.md)")), "nowhere.md"),
        ("links", Append("docs/cases.md", line("[out](../../elsewhere.md)")), "elsewhere.md"),
        ("links", Append("docs/cases.md", line("[part](abi.md#no-such-part)")), "no-such-part"),
    ]
}

fn bare_manifest() -> String {
    "[package]\nname = \"trimtab-sim\"\nversion = \"0.1.0\"\nedition = \"2024\"\n".into()
}

impl Seed {
    fn plant(&self, root: &Path) {
        match self {
            Append(file, text) => {
                let file = root.join(file);
                let before = std::fs::read_to_string(&file).unwrap_or_default();
                std::fs::write(file, before + text).unwrap();
            }
            Write(file, text) => {
                let file = root.join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, text).unwrap();
            }
            Remove(file) => std::fs::remove_file(root.join(file)).unwrap(),
        }
    }
}

#[test]
fn each_rule_fails_on_a_seeded_violation() {
    let clean = Tree::read(place::root());
    let mut missed = Vec::new();
    for (name, seed, expected) in seeds() {
        let copy = tempfile::tempdir().unwrap();
        clean.write(copy.path());
        seed.plant(copy.path());
        let said = rule(name)(&Tree::read(copy.path()));
        if !said.iter().any(|line| line.contains(expected)) {
            missed.push(format!("{name}: expected `{expected}`, it says {said:?}"));
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
    for (name, _) in RULES {
        assert!(seeds().iter().any(|(seeded, ..)| seeded == name), "no violation of `{name}` is seeded");
    }
}
