//! What `cargo metadata` says, as far as the rules ask.
//!
//! For: the few fields that are read. The crate `cargo_metadata` would switch on features of crates that wasmtime uses as
//! well, and so have it compiled once for the tests and once for the binary.

use std::process::Command;

use serde::Deserialize;

use super::tree::Tree;

/// The answer.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Option<Resolve>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// None: a normal one.
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
}

#[derive(Debug, Deserialize)]
struct NodeDep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Debug, Deserialize)]
struct DepKind {
    kind: Option<String>,
}

impl Dependency {
    /// Whether only tests use it.
    pub(super) fn is_development(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

impl Package {
    fn is_proc_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

impl Metadata {
    /// Asks cargo, without asking the network.
    pub(super) fn of(tree: &Tree, with_others: bool) -> Result<Metadata, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["metadata", "--format-version", "1", "--offline", "--manifest-path"]);
        command.arg(tree.root.join("Cargo.toml")).env_remove("CARGO_TARGET_DIR");
        if with_others {
            let system = if cfg!(target_os = "macos") { "apple-darwin" } else { "unknown-linux-gnu" };
            command.args(["--filter-platform", &format!("{}-{system}", std::env::consts::ARCH)]);
        } else {
            command.arg("--no-deps");
        }
        let output = command.output().map_err(|error| format!("cargo metadata: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
    }

    fn package(&self, id: &str) -> &Package {
        self.packages.iter().find(|package| package.id == id).expect("every node is of a package")
    }

    /// One of our own packages.
    pub(super) fn member(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name && self.workspace_members.contains(&package.id))
    }

    /// Everything a package links, without what only tests and builds use.
    pub(super) fn closure(&self, root: &Package) -> Vec<&Package> {
        let nodes = &self.resolve.as_ref().expect("asked for with dependencies").nodes;
        let (mut seen, mut todo) = (std::collections::BTreeSet::new(), vec![root.id.as_str()]);
        while let Some(id) = todo.pop() {
            let node = nodes.iter().find(|node| node.id == id).expect("every package has a node");
            for dep in node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none())) {
                // What a procedural macro links runs at build time only.
                if !self.package(&dep.pkg).is_proc_macro() && seen.insert(dep.pkg.as_str()) {
                    todo.push(&dep.pkg);
                }
            }
        }
        seen.into_iter().map(|id| self.package(id)).collect()
    }
}
