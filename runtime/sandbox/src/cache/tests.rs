//! The cache: what is loaded, what is not. The modules are compiled for real, the folders are real.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use wasmtime::component::Component;

use super::{Cache, CacheError};
use crate::engine::Engines;
use crate::limits::{Allocator, Bounds, Limits};
use crate::refusal::{Refusal, Stage};

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

struct Place {
    folder: tempfile::TempDir,
    engines: Engines,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        Place {
            folder,
            engines: Engines::new(Allocator::OnDemand, Bounds::Guarded, &Limits::default()).expect("engines"),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("compiled")
    }

    fn open(&self) -> Cache {
        Cache::open(&self.path(), &self.engines.lean).expect("a cache")
    }

    fn code(&self) -> Vec<u8> {
        let wasm = wat::parse_str("(component)").expect("valid");
        Component::from_binary(&self.engines.lean, &wasm).expect("it compiles").serialize().expect("it is written")
    }

    /// The one entry that is kept.
    fn entry(&self) -> PathBuf {
        let mut names = fs::read_dir(self.path()).expect("a folder");
        names.next().expect("one entry").expect("readable").path()
    }
}

#[test]
fn what_was_kept_is_loaded_again_and_the_folder_is_for_its_owner_alone() {
    let place = Place::new();
    assert!(place.open().load(&place.engines, DIGEST).is_none());
    assert!(place.open().keep(&place.engines, DIGEST, &place.code()).is_some());
    assert!(place.open().load(&place.engines, DIGEST).is_some());
    assert_eq!(fs::metadata(place.path()).expect("it is there").permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(place.entry()).expect("it is there").permissions().mode() & 0o777, 0o600);
}

/// What is done to the entry at a path.
type Harm = (&'static str, fn(&Path));

#[test]
fn what_is_damaged_cut_short_or_not_ours_is_removed_and_never_loaded() {
    let harms: [Harm; 7] = [
        ("a flipped bit", |path| {
            let mut bytes = fs::read(path).expect("readable");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).expect("writable");
        }),
        ("cut short", |path| {
            let bytes = fs::read(path).expect("readable");
            fs::write(path, &bytes[..bytes.len() - 1]).expect("writable");
        }),
        ("empty", |path| fs::write(path, b"").expect("writable")),
        ("other code under its name", |path| fs::write(path, b"\x7fELF and so on").expect("writable")),
        ("others may write it", |path| fs::set_permissions(path, Permissions::from_mode(0o666)).expect("ours")),
        ("a link", |path| {
            let elsewhere = path.with_file_name("elsewhere");
            fs::rename(path, &elsewhere).expect("ours");
            symlink(elsewhere, path).expect("a link");
        }),
        ("two names", |path| fs::hard_link(path, path.with_file_name("another")).expect("a link")),
    ];
    for (what, harm) in harms {
        let place = Place::new();
        let cache = place.open();
        assert!(cache.keep(&place.engines, DIGEST, &place.code()).is_some(), "{what}");
        let entry = place.entry();
        harm(&entry);
        assert!(cache.load(&place.engines, DIGEST).is_none(), "{what}: it was loaded");
        assert!(fs::symlink_metadata(&entry).is_err(), "{what}: it is still there");
        assert!(cache.keep(&place.engines, DIGEST, &place.code()).is_some(), "{what}: it cannot be compiled again");
    }
}

#[test]
fn entries_of_another_engine_and_what_a_killed_process_left_are_removed() {
    let place = Place::new();
    place.open().keep(&place.engines, DIGEST, &place.code());
    let entry = place.entry();
    let name = entry.file_name().and_then(|name| name.to_str()).expect("a name");
    let foreign = place.path().join(name.replacen(&name[65..81], "0123456789abcdef", 1));
    let left = place.path().join(format!("{name}.new"));
    let ours = place.path().join("notes.txt");
    for path in [&foreign, &left, &ours] {
        fs::write(path, b"x").expect("writable");
    }
    let cache = place.open();
    assert!(!foreign.exists() && !left.exists(), "what nothing can use");
    assert!(ours.exists(), "what is not the cache's is left alone");
    assert!(cache.load(&place.engines, DIGEST).is_some());
}

#[test]
fn a_folder_that_others_can_write_is_not_used() {
    let place = Place::new();
    drop(place.open());
    for mode in [0o770, 0o707, 0o777] {
        fs::set_permissions(place.path(), Permissions::from_mode(mode)).expect("ours");
        let refused = Cache::open(&place.path(), &place.engines.lean).err();
        assert!(matches!(refused, Some(CacheError::Open { .. })), "{mode:o}");
    }
    fs::remove_dir(place.path()).expect("empty");
    symlink("/tmp", place.path()).expect("a link");
    assert!(matches!(Cache::open(&place.path(), &place.engines.lean).err(), Some(CacheError::Unusable { .. })));
}

#[test]
fn refusals_are_remembered_within_the_same_bounds_and_only_where_the_module_is_to_blame() {
    let place = Place::new();
    let limits = Limits::default();
    let larger = Limits { compile_memory: limits.compile_memory * 2, ..limits.clone() };
    let of = |code| Refusal::new(Stage::Compile, code, "why").hint("how");
    for code in ["host", "compile-wall"] {
        place.open().refuse(DIGEST, &limits, &of(code));
        assert_eq!(place.open().refusal(DIGEST, &limits), None, "{code}");
    }
    place.open().refuse(DIGEST, &limits, &of("compile-memory"));
    assert_eq!(place.open().refusal(DIGEST, &limits), Some(of("compile-memory")));
    assert_eq!(place.open().refusal(DIGEST, &larger), None);
    place.open().refuse(DIGEST, &limits, &of("compile-crash"));
    assert_eq!(place.open().refusal(DIGEST, &limits), Some(of("compile-crash")), "it keeps its code");
}
