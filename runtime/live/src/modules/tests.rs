//! The policies directory against every kind of file and every way of replacing one. The files are real, the modules
//! are written by hand; every wait has a bound.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use trimtab_sandbox::{Allocator, Refusal, Sandbox, SandboxConfig, Stage, digest_of};

use super::{Key, ModuleEvent, Modules, ModulesConfig, Origin, Snapshot, State};

/// A core module whose description is `NAME` and whose other answers are empty. `salt` makes its digest its own.
fn module(name: &str, salt: u32) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 2)
          (data (i32.const 16) "{name}") (data (i32.const 64) "salt {salt}")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
          (func (export "trimtab:policy/policy@0.1.0#describe") (result i32)
            (i32.store (i32.const 1024) (i32.const 16)) (i32.store (i32.const 1028) (i32.const {}))
            i32.const 1024)
          (func (export "trimtab:policy/policy@0.1.0#prepare") (param i32 i32) (result i32) i32.const 1104)
          (func (export "trimtab:policy/policy@0.1.0#decide") (param i32) (result i32) i32.const 1200))"#,
        name.len()
    );
    wat::parse_str(text).expect("the test's WAT is valid")
}

fn foreign() -> Vec<u8> {
    wat::parse_str(r#"(module (import "env" "puts" (func (param i32))))"#).expect("valid")
}

struct Place {
    folder: tempfile::TempDir,
    modules: Modules,
    events: Receiver<ModuleEvent>,
}

fn start(folder: tempfile::TempDir, bundled: Vec<(&'static str, &'static [u8])>, watch: bool) -> Place {
    let (told, events) = channel();
    let dirs = ["low", "high"].map(|name| folder.path().join(name)).to_vec();
    for dir in &dirs {
        fs::create_dir_all(dir).expect("a directory");
    }
    let config = ModulesConfig {
        dirs,
        state: Some(folder.path().join("state")),
        bundled,
        watch,
        wanted: Vec::new(),
        tenants: std::sync::Arc::default(),
        on_event: Box::new(move |event| drop(told.send(event.clone()))),
    };
    let sandbox = SandboxConfig { allocator: Allocator::OnDemand, ..SandboxConfig::default() };
    let modules = Modules::start(config, Sandbox::new(sandbox).expect("an engine")).expect("a loader");
    Place { folder, modules, events }
}

/// Stage and code of the event that a file makes, and how it comes to lie there.
type Drop<'a> = (&'static str, &'static str, Box<dyn Fn(&Path) + 'a>);

fn new_place() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

impl Place {
    fn low(&self, name: &str) -> PathBuf {
        self.folder.path().join("low").join(name)
    }

    fn high(&self, name: &str) -> PathBuf {
        self.folder.path().join("high").join(name)
    }

    /// Waits for a snapshot in which something holds.
    fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> std::sync::Arc<Snapshot> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let snapshot = self.modules.snapshot();
            if holds(&snapshot) {
                return snapshot;
            }
            assert!(Instant::now() < end, "{what}: {snapshot:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn restart(self) -> Place {
        let Place { folder, modules, .. } = self;
        drop(modules);
        start(folder, Vec::new(), true)
    }
}

fn digest<'a>(snapshot: &'a Snapshot, tenant: &str, name: &str) -> &'a str {
    snapshot.resolve(tenant, name).map_or("", |entry| &entry.digest)
}

/// Writes beside, then renames over: what a careful person does.
fn put(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).expect("written");
    fs::rename(new, path).expect("renamed");
}

#[test]
fn later_directories_and_tenants_win_and_bundled_ones_lie_below() {
    let bundled: &'static [u8] = Box::leak(module("bundled", 0).into_boxed_slice());
    let folder = new_place();
    for (path, salt) in [("low/a.wasm", 1), ("high/a.wasm", 2), ("low/team/a.wasm", 3), ("low/.b.wasm", 4)] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        put(&path, &module("a", salt));
    }
    std::thread::sleep(Duration::from_millis(150));
    let place = start(folder, vec![("a", bundled), ("c", bundled)], true);
    let winners = |s: &Snapshot| [digest(s, "x", "a").to_owned(), digest(s, "team", "a").to_owned()];
    let snapshot = place.until("loaded", |s| winners(s) == [digest_of(&module("a", 2)), digest_of(&module("a", 3))]);
    assert_eq!(snapshot.resolve("x", "c").map(|e| e.source), Some(Origin::Bundled));
    assert!(snapshot.resolve("x", "b").is_none());
    // The winner goes; neither the file it hid nor the bundled one takes over by itself.
    fs::remove_file(place.high("a.wasm")).expect("removed");
    let snapshot = place.until("gone", |s| s.resolve("x", "a").is_some_and(|e| e.state == State::LastGood));
    assert_eq!(digest(&snapshot, "x", "a"), digest_of(&module("a", 2)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert!(runtime.block_on(place.modules.forget("a", None)));
    // What served serves until what lies there is compiled: at no time a third.
    let third = |s: &Snapshot| s.resolve("x", "a").is_some_and(|e| e.source == Origin::Bundled);
    place.until("forgotten", |s| {
        assert!(!third(s), "the bundled one took over in between");
        winners(s) == [digest_of(&module("a", 1)), digest_of(&module("a", 3))]
    });
    fs::remove_file(place.low("a.wasm")).expect("removed");
    place.until("gone", |s| s.resolve("x", "a").is_some_and(|e| e.state == State::LastGood));
    assert!(runtime.block_on(place.modules.forget("a", None)));
    place.until("bundled", |s| s.resolve("x", "a").is_some_and(|e| e.source == Origin::Bundled));
}

#[test]
fn whatever_lies_there_the_last_good_version_serves_on_also_after_a_restart() {
    let mut place = start(new_place(), Vec::new(), true);
    let good = module("a", 1);
    put(&place.low("a.wasm"), &good);
    place.until("loaded", |s| digest(s, "x", "a") == digest_of(&good));
    let outside = place.folder.path().join("outside.wasm");
    put(&outside, &module("a", 2));
    let drops: Vec<Drop<'_>> = vec![
        ("inspect", "incomplete", Box::new(|path| fs::write(path, &module("a", 3)[..100]).expect("written"))),
        ("inspect", "empty", Box::new(|path| fs::write(path, b"").expect("written"))),
        ("imports", "foreign-import", Box::new(|path| fs::write(path, foreign()).expect("written"))),
        ("gone", "gone", Box::new(|_| ())),
        ("read", "directory", Box::new(|path| fs::create_dir(path).expect("made"))),
        (
            "read",
            "fifo",
            Box::new(|path| {
                let fifo = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path, fifo, rustix::fs::Mode::RWXU, 0).expect("made");
            }),
        ),
        ("read", "outside-link", Box::new(|path| symlink(&outside, path).expect("linked"))),
    ];
    for (stage, code, drop_it) in drops {
        let path = place.low("a.wasm");
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            fs::remove_dir(&path).expect("removed");
        } else if fs::symlink_metadata(&path).is_ok() {
            fs::remove_file(&path).expect("removed");
        }
        drop_it(&path);
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < end, "{code}: no event");
            let event = place.events.recv_timeout(Duration::from_secs(20)).expect("an event");
            if event.result == code {
                assert_eq!(event.stage, stage);
                break;
            }
        }
        let snapshot = place
            .until(code, |s| s.resolve("x", "a").is_some_and(|e| e.state == State::LastGood && !e.message.is_empty()));
        assert_eq!(digest(&snapshot, "x", "a"), digest_of(&good), "{code}");
        place = place.restart();
        let snapshot = place.modules.snapshot();
        let entry = snapshot.resolve("x", "a").expect("kept");
        assert_eq!((&entry.digest, entry.state), (&digest_of(&good), State::LastGood), "{code}");
    }
    fs::remove_file(place.low("a.wasm")).expect("removed");
    put(&place.low("a.wasm"), &module("a", 9));
    place.until("good again", |s| s.resolve("x", "a").is_some_and(|e| e.state == State::Ok));
}

#[test]
fn a_config_map_swap_and_a_write_in_place_end_in_the_whole_new_file() {
    let place = start(new_place(), Vec::new(), true);
    for salt in [1, 2] {
        let data = place.low(&format!("..data-{salt}"));
        fs::create_dir(&data).expect("made");
        fs::write(data.join("a.wasm"), module("a", salt)).expect("written");
        symlink(format!("..data-{salt}"), place.low("..data-new")).expect("linked");
        fs::rename(place.low("..data-new"), place.low("..data")).expect("swapped");
        if salt == 1 {
            symlink("..data/a.wasm", place.low("a.wasm")).expect("linked");
        }
        place.until("swapped", |s| digest(s, "x", "a") == digest_of(&module("a", salt)));
    }
    let path = place.low("b.wasm");
    for salt in 0..3 {
        let bytes = module("b", salt);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        fs::write(&path, first).expect("written");
        std::thread::sleep(Duration::from_millis(30));
        let mut file = fs::OpenOptions::new().append(true).open(&path).expect("opened");
        std::io::Write::write_all(&mut file, second).expect("written");
        place.until("whole", |s| digest(s, "x", "b") == digest_of(&bytes));
    }
}

#[test]
fn what_was_kept_and_cannot_be_read_now_stays_kept() {
    let place = start(new_place(), Vec::new(), true);
    for name in ["a", "b"] {
        put(&place.low(&format!("{name}.wasm")), &module(name, 1));
        place.until("loaded", |s| digest(s, "x", name) == digest_of(&module(name, 1)));
    }
    let kept = place.folder.path().join("state/modules");
    let hex = digest_of(&module("a", 1)).replace("sha256:", "");
    let (file, aside) = (kept.join(format!("{hex}.wasm")), kept.join("aside"));
    fs::remove_file(place.low("a.wasm")).expect("removed");
    place.until("gone", |s| s.resolve("x", "a").is_some_and(|e| e.state == State::LastGood));
    fs::rename(&file, &aside).expect("moved");
    let place = place.restart();
    assert!(place.modules.snapshot().resolve("x", "a").is_none());
    put(&place.low("b.wasm"), &module("b", 2));
    place.until("swapped", |s| digest(s, "x", "b") == digest_of(&module("b", 2)));
    fs::rename(&aside, &file).expect("moved back");
    let place = place.restart();
    assert_eq!(digest(&place.modules.snapshot(), "x", "a"), digest_of(&module("a", 1)));
}

#[test]
fn what_is_inside_the_binary_is_compiled_when_somebody_asks_for_it() {
    let place = start(new_place(), vec![("broken", b"no module")], true);
    let snapshot = place.modules.snapshot();
    let entry = snapshot.resolve("x", "broken").expect("listed");
    assert_eq!((entry.state, entry.source), (State::Ok, Origin::Bundled));
    assert_eq!(entry.digest, digest_of(b"no module"));
    assert_eq!(entry.candidates[0].admitted().expect_err("no module").stage, Stage::Inspect);
    assert!(place.events.try_recv().is_err());
}

#[test]
fn what_a_workload_refuses_leaves_the_version_before_it_serving_there() {
    let place = start(new_place(), Vec::new(), true);
    let key = Key { tenant: None, name: "a".into() };
    put(&place.low("a.wasm"), &module("a", 1));
    place.until("loaded", |s| digest(s, "x", "a") == digest_of(&module("a", 1)));
    put(&place.low("a.wasm"), &module("a", 2));
    let newest = digest_of(&module("a", 2));
    let snapshot = place.until("swapped", |s| digest(s, "x", "a") == newest);
    let candidates = &snapshot.resolve("x", "a").expect("there").candidates;
    let digests: Vec<String> = candidates.iter().map(|c| c.digest().to_owned()).collect();
    assert_eq!(digests, [newest.clone(), digest_of(&module("a", 1))]);
    let refusal = Refusal::new(Stage::Probe, "trap", "decide trapped");
    place.modules.report(&key, "x/chat", &newest, Err(&refusal));
    let snapshot = place.until("refused", |s| s.resolve("x", "a").is_some_and(|e| e.state == State::LastGood));
    assert_eq!(digest(&snapshot, "x", "a"), digest_of(&module("a", 1)));
    assert!(snapshot.resolve("x", "a").is_some_and(|e| e.message.contains("x/chat refuses it: probe: decide trapped")));
    // However many more it refuses, what it runs stays.
    place.modules.report(&key, "x/chat", &digest_of(&module("a", 1)), Ok(()));
    for salt in 3..9 {
        let next = digest_of(&module("a", salt));
        put(&place.low("a.wasm"), &module("a", salt));
        place.until("swapped", |s| s.resolve("x", "a").is_some_and(|e| e.candidates[0].digest() == next));
        place.modules.report(&key, "x/chat", &next, Err(&refusal));
    }
    let newest = digest_of(&module("a", 8));
    place.until("kept", |s| {
        let entry = s.resolve("x", "a").expect("there");
        entry.state == State::LastGood && entry.candidates.iter().any(|c| c.digest() == digest_of(&module("a", 1)))
    });
    place.modules.report(&key, "x/other", &newest, Ok(()));
    place.until("taken elsewhere", |s| s.resolve("x", "a").is_some_and(|e| e.state == State::Ok && e.digest == newest));
}

#[test]
fn many_swaps_by_rename_are_each_seen_whole() {
    let place = start(new_place(), Vec::new(), true);
    for salt in 0..30 {
        let bytes = module("a", salt);
        put(&place.low("a.wasm"), &bytes);
        place.until("swapped", |s| digest(s, "x", "a") == digest_of(&bytes));
    }
    let kept = fs::read_dir(place.folder.path().join("state/modules")).expect("kept").count();
    assert!(kept <= 5, "{kept} files: the index and at most four versions");
}
