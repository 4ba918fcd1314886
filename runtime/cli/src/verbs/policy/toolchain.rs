//! Which cargo can build for `wasm32-unknown-unknown` here.
//!
//! For: `policy build`. Two ways: a toolchain with the target's standard library (rustup), or Debian's, whose sources
//! build it on the way. Never installs anything: it says what to install.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The only target: no WASI, so nothing to stub.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages, and what to say when neither way is there.
const FIX: &str = "run `rustup target add wasm32-unknown-unknown`, \
    or on Debian `apt-get install rustc-web cargo-web rust-web-src lld-19`";

/// A cargo, and what it has to be told.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// For people.
    pub(super) about: &'static str,
    cargo: PathBuf,
    arguments: &'static [&'static str],
    environment: Vec<(&'static str, OsString)>,
}

impl Toolchain {
    /// The first that is whole, for a project in `dir` (which may pin a toolchain of its own).
    pub(super) fn find(dir: &Path) -> Result<Toolchain, Failure> {
        let place = dir.display().to_string();
        rustup(dir)
            .or_else(debian)
            .ok_or_else(|| Failure::new(place, "no Rust toolchain here can build for wasm32-unknown-unknown", FIX))
    }

    /// `cargo build` for the target; the caller adds where and how.
    pub(super) fn build(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(["build", "--release", "--target", TARGET]).args(self.arguments);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }
}

/// A toolchain that has the target's standard library.
fn rustup(dir: &Path) -> Option<Toolchain> {
    let sysroot = sysroot("rustc".as_ref(), dir)?;
    let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    library.is_dir().then(|| Toolchain {
        about: "the installed wasm32-unknown-unknown target",
        cargo: "cargo".into(),
        arguments: &[],
        environment: vec![("RUSTFLAGS", flags("").into())],
    })
}

/// Debian's compiler with matching sources and a linker for Wasm.
fn debian() -> Option<Toolchain> {
    let (cargo, rustc) = (Path::new("/usr/bin/cargo"), Path::new("/usr/bin/rustc"));
    if !cargo.is_file() || !rustc.is_file() {
        return None;
    }
    let sources = sysroot(rustc, Path::new("/"))?.join("lib/rustlib/src/rust/library/std/Cargo.toml");
    let linker = ["wasm-ld-19", "wasm-ld"].into_iter().find(|name| on_path(name))?;
    sources.is_file().then(|| Toolchain {
        about: "Debian's compiler, building the standard library from its sources",
        cargo: cargo.to_owned(),
        arguments: &["-Z", "build-std=std,panic_abort"],
        environment: vec![
            ("RUSTC", rustc.into()),
            // Debian ships a release compiler; building its own standard library needs this.
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("RUSTFLAGS", flags(&format!("-Clinker={linker} ")).into()),
        ],
    })
}

/// Paths of this machine stay out of the module, so that the same source gives the same bytes elsewhere.
fn flags(linker: &str) -> String {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let registry =
        home.map_or_else(String::new, |home| format!(" --remap-path-prefix={}/registry/src=registry", home.display()));
    format!("{linker}--remap-path-prefix=/usr/lib/rustlib/src/rust=rust-src{registry}")
}

fn sysroot(rustc: &Path, dir: &Path) -> Option<PathBuf> {
    let answer = Command::new(rustc).args(["--print", "sysroot"]).current_dir(dir).output().ok()?;
    answer.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()))
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}
