//! Where a test finds the tree, the binary and the tools, and how it says that something it needs is not there.
//! Never sets anything up: `tests/setup` does.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The root of the source tree.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The `trimtab` binary to start: `$TRIMTAB_BIN`, else the one that cargo built beside this test's binary.
pub fn trimtab() -> PathBuf {
    if let Some(given) = std::env::var_os("TRIMTAB_BIN") {
        return given.into();
    }
    let own = std::env::current_exe().expect("a running program has a path");
    // A test lies in a folder below it.
    let built = own.ancestors().skip(1).take(2).map(|dir| dir.join("trimtab")).find(|file| file.is_file());
    let built = built.unwrap_or_else(|| own.with_file_name("trimtab"));
    assert!(built.is_file(), "no {}; run `cargo build --release`, or set TRIMTAB_BIN", built.display());
    built
}

/// The Python of the test environment (`$TRIMTAB_TEST_PYTHON`, else what `tests/setup` made), if there is one.
pub fn python() -> Option<PathBuf> {
    let made = || root().join("target/test-env/bin/python");
    let python = std::env::var_os("TRIMTAB_TEST_PYTHON").map_or_else(made, PathBuf::from);
    python.is_file().then_some(python)
}

/// The first of these programs that is on the search path.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |dir| dir.join(name)))
        .find(|file| file.is_file())
}

/// Says that the test `name` was skipped, in a line that `tests/run` counts; under `CI=true` it fails instead.
/// The line goes to the real standard error, which the test harness does not capture.
pub fn skip(name: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{name} must not be skipped under CI: {reason}");
    let _ = std::io::stderr().write_all(format!("skipped: {name}: {reason}\n").as_bytes());
}
