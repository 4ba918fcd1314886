//! Guests written against the byte-level contract alone (docs/abi.md): one by hand in WAT, one in C without an SDK or a C
//! library. Both are admitted, and answer their cases.

use std::path::Path;
use std::process::Command;

use trimtab_sandbox::Admitted;

use crate::{cases, place};

/// Builds `tests/guests/c/policy.c` into `folder`, by the command in its header; none without clang-19.
pub(crate) fn build_c(folder: &Path) -> Option<Vec<u8>> {
    let clang = place::program(&["clang-19"])?;
    place::program(&["wasm-ld-19", "wasm-ld"])?;
    let module = folder.join("policy.wasm");
    let built = Command::new(clang)
        .args(["--target=wasm32", "-O2", "-nostdlib", "-ffreestanding", "-Wall", "-Werror", "-Wl,--no-entry", "-o"])
        .arg(&module)
        .arg(place::root().join("tests/guests/c/policy.c"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(std::fs::read(module).unwrap())
}

fn plays(module: &[u8], name: &str, cases: &str) {
    let module: Admitted = cases::sandbox().admit(module).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    assert_eq!(module.description().name, name);
    let (_, wrong) = cases::play(&module, &place::root().join(cases));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn by_hand_in_wat() {
    let module = wat::parse_file(place::root().join("tests/guests/hand.wat")).unwrap();
    plays(&module, "hand", "tests/guests/hand.yaml");
}

#[test]
fn in_c_without_an_sdk() {
    let folder = tempfile::tempdir().unwrap();
    match build_c(folder.path()) {
        Some(module) => plays(&module, "plain-c", "tests/guests/c/policy.yaml"),
        None => place::skip("guests::in_c_without_an_sdk", "clang-19 and lld-19 are not installed"),
    }
}
