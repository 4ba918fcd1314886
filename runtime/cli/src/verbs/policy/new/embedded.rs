//! The files of a new project, and the SDK's source.
//!
//! For: one list, which a test compares with the folders. Never edited by what writes the files.

/// The workspace's manifest, for the versions of dependencies.
pub(super) const WORKSPACE: &str = include_str!("../../../../../../Cargo.toml");

/// The project's own files; `{{...}}` is filled in.
pub(super) const PROJECT: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../../template/rust/Cargo.toml.txt")),
    ("README.md", include_str!("../../../../template/rust/README.md.txt")),
    ("schema.json", include_str!("../../../../template/rust/schema.json.txt")),
    ("observation.yaml", include_str!("../../../../template/rust/observation.yaml.txt")),
    ("src/lib.rs", include_str!("../../../../template/rust/src/lib.rs.txt")),
    ("sdk/Cargo.toml", include_str!("../../../../template/rust/sdk.Cargo.toml.txt")),
];

/// Below `sdk/`, as they are.
pub(super) const SDK: &[(&str, &str)] = &[
    ("src/answer.rs", include_str!("../../../../../../sdk/rust/src/answer.rs")),
    ("src/arena.rs", include_str!("../../../../../../sdk/rust/src/arena.rs")),
    ("src/bindings.rs", include_str!("../../../../../../sdk/rust/src/bindings.rs")),
    ("src/config.rs", include_str!("../../../../../../sdk/rust/src/config.rs")),
    ("src/entry.rs", include_str!("../../../../../../sdk/rust/src/entry.rs")),
    ("src/lib.rs", include_str!("../../../../../../sdk/rust/src/lib.rs")),
    ("src/load.rs", include_str!("../../../../../../sdk/rust/src/load.rs")),
    ("src/log.rs", include_str!("../../../../../../sdk/rust/src/log.rs")),
    ("src/observation.rs", include_str!("../../../../../../sdk/rust/src/observation.rs")),
    ("src/series.rs", include_str!("../../../../../../sdk/rust/src/series.rs")),
    ("wit/policy.wit", include_str!("../../../../../../wit/policy.wit")),
];
