//! Tests of what a new project holds.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

#[test]
fn the_whole_sdk_is_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/rust/src");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("src/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    let embedded = embedded::SDK.iter().map(|(path, _)| (*path).to_owned()).filter(|path| path.starts_with("src/"));
    assert_eq!(embedded.collect::<BTreeSet<_>>(), there);
}

#[test]
fn nothing_is_left_to_fill_in() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("guard"), "guard").unwrap();
    for (path, _) in embedded::PROJECT {
        let text = std::fs::read_to_string(dir.path().join("guard").join(path)).unwrap();
        assert!(!text.contains("{{"), "{path}: {text}");
    }
    let sdk = std::fs::read_to_string(dir.path().join("guard/sdk/Cargo.toml")).unwrap();
    for dependency in ["serde = {", "serde_json = {", "wit-bindgen = {"] {
        assert!(sdk.contains(dependency), "{dependency}: {sdk}");
    }
}
