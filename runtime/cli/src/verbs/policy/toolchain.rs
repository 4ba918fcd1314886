//! Which cargo can build for `wasm32-unknown-unknown` here.
//!
//! For: `policy build`. Two ways: a toolchain with the target's standard library (rustup), or Debian's, whose sources
//! build it on the way. Never installs anything: it says what to install.

use std::ffi::{OsStr, OsString};
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
        // Flags that were meant for this machine are not for a guest.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
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
        environment: vec![("CARGO_ENCODED_RUSTFLAGS", flags(None))],
    })
}

/// Debian's compiler with matching sources and a linker for Wasm.
fn debian() -> Option<Toolchain> {
    let (cargo, rustc) = (Path::new("/usr/bin/cargo"), Path::new("/usr/bin/rustc"));
    if !cargo.is_file() || !rustc.is_file() {
        return None;
    }
    let sources = sysroot(rustc, Path::new("/"))?.join("lib/rustlib/src/rust/library/std/Cargo.toml");
    let linker = linker()?;
    sources.is_file().then(|| Toolchain {
        about: "Debian's compiler, building the standard library from its sources",
        cargo: cargo.to_owned(),
        arguments: &["-Z", "build-std=std,panic_abort"],
        environment: vec![
            ("RUSTC", rustc.into()),
            // Debian ships a release compiler; building its own standard library needs this.
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("CARGO_ENCODED_RUSTFLAGS", flags(Some(&linker))),
        ],
    })
}

/// Flags, separated as cargo wants them where paths may hold spaces. A small stack, placed first by the compiler, so that
/// an overflow traps; little memory to begin with; no path of this machine inside, so that the same source gives the
/// same bytes elsewhere.
fn flags(linker: Option<&Path>) -> OsString {
    let mut flags: Vec<OsString> =
        vec!["-Clink-arg=-zstack-size=32768".into(), "-Clink-arg=--initial-memory=131072".into()];
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push(format!("={to}"));
        flags.push(flag);
    };
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let registries = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    for registry in registries.into_iter().flatten().flatten() {
        remap(&registry.path(), "registry");
    }
    let sources = Path::new("/usr/lib/rustlib/src/rust");
    remap(sources, "rust-src");
    if let Ok(real) = sources.canonicalize() {
        remap(&real, "rust-src");
    }
    if let Some(linker) = linker {
        let mut flag = OsString::from("-Clinker=");
        flag.push(linker);
        flags.push(flag);
    }
    flags.join(OsStr::new("\x1f"))
}

/// Debian's linker for Wasm, else the one that comes with a rustup toolchain.
fn linker() -> Option<PathBuf> {
    let debian = ["wasm-ld-19", "wasm-ld"].into_iter().find(|name| on_path(name)).map(PathBuf::from);
    debian.or_else(|| {
        let host = sysroot("rustc".as_ref(), Path::new("/"))?.join("lib/rustlib");
        let targets = std::fs::read_dir(host).ok()?.flatten();
        targets.map(|target| target.path().join("bin/rust-lld")).find(|linker| linker.is_file())
    })
}

fn sysroot(rustc: &Path, dir: &Path) -> Option<PathBuf> {
    let answer = Command::new(rustc).args(["--print", "sysroot"]).current_dir(dir).output().ok()?;
    answer.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()))
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}
