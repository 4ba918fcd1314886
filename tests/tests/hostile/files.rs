//! What may lie in a policies directory, and how it may come to lie there.
//!
//! For: scripts below `tests/hostile/files`, each played against the real loader. The head of a script:
//!
//! ```text
//! # expect: read fifo; serves good
//! # A FIFO, on which a reader waits for ever.
//! ```
//!
//! `expect` names the stage and code of the event that must come for the policy `a` (`nothing`: none may come for another
//! name; `any`: whatever), then what serves as `a`: `good`, `evil`, `nothing`. `restart` on a line of its own: the loader is started again
//! when the script has ended. Scripts see `$DIR` (the directory), `$GOOD` and `$EVIL` (two good files outside of it, of
//! which the first lies there as `a.wasm`), `$STATE` and `$TRIMTAB` (the binary); exit code 77 skips, with the reason as
//! output. Whatever a script does, what the loader accepts is one of the two, whole, and it still takes a good file
//! of another tenant afterwards. Never waits without a bound.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use trimtab_live::modules::{ModuleEvent, Modules, ModulesConfig};
use trimtab_sandbox::{Allocator, Sandbox, digest_of};
use trimtab_tests::policies::{edition, put};
use trimtab_tests::{corpus, place};

use super::case::head;
use super::play::{GOOD, patient, sandbox};

/// For one thing to happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a script says when it cannot be played here.
const SKIPPED: i32 = 77;

/// One script.
pub(super) struct Script {
    pub(super) name: String,
    pub(super) expects: String,
    pub(super) tries: String,
    path: PathBuf,
    restart: bool,
}

/// Every script, by name.
pub(super) fn all() -> Vec<Script> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(corpus::folder().join("files")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Script {
    let text = std::fs::read_to_string(&path).unwrap();
    let head = head(&text, "#");
    let expects = head.iter().find_map(|line| line.strip_prefix("expect: "));
    let expects = expects.unwrap_or_else(|| panic!("{}: no `# expect: `", path.display())).to_owned();
    let words = head.iter().filter(|l| !l.starts_with("expect: ") && !l.starts_with("shellcheck ") && **l != "restart");
    Script {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        expects,
        tries: words.copied().collect::<Vec<_>>().join(" "),
        restart: head.contains(&"restart"),
        path,
    }
}

struct Place {
    folder: tempfile::TempDir,
    modules: Option<Modules>,
    events: Receiver<ModuleEvent>,
    seen: Vec<ModuleEvent>,
}

impl Place {
    fn start(folder: tempfile::TempDir, sandbox: &Sandbox) -> Place {
        let (told, events) = channel();
        let config = ModulesConfig {
            dirs: vec![folder.path().join("policies")],
            state: Some(folder.path().join("state")),
            bundled: Vec::new(),
            watch: true,
            wanted: Vec::new(),
            tenants: Arc::default(),
            on_event: Box::new(move |event| drop(told.send(event.clone()))),
        };
        let modules = Modules::start(config, sandbox.clone()).unwrap();
        Place { folder, modules: Some(modules), events, seen: Vec::new() }
    }

    /// Waits until an event of a name was seen.
    fn until(&mut self, name: &str, stage: &str, code: &str, digest: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        let is = |event: &ModuleEvent| {
            event.key.name == name && event.stage == stage && event.result == code && event.digest.starts_with(digest)
        };
        while !self.seen.iter().any(is) {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => self.seen.push(event),
                Err(_) => return Err(format!("no event `{stage} {code}` of {name}: {:?}", tail(&self.seen))),
            }
        }
        Ok(())
    }

    fn serves(&self, name: &str) -> String {
        let snapshot = self.modules.as_ref().unwrap().snapshot();
        snapshot.resolve("x", name).map_or(String::new(), |entry| entry.digest.clone())
    }
}

fn tail(events: &[ModuleEvent]) -> &[ModuleEvent] {
    &events[events.len().saturating_sub(5)..]
}

#[test]
fn every_file_is_contained_and_a_good_one_is_still_taken() {
    let only = std::env::var("TRIMTAB_CASE").ok();
    let sandbox = sandbox(patient(), Allocator::OnDemand);
    let mut wrong = Vec::new();
    for script in all().iter().filter(|script| only.as_ref().is_none_or(|only| script.name == *only)) {
        if let Err(problem) = play(script, &sandbox) {
            wrong.push(format!("{}: expected `{}`: {problem}", script.name, script.expects));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn play(script: &Script, sandbox: &Sandbox) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let (good, evil) = (edition(&GOOD, 1), edition(&GOOD, 2));
    let dir = folder.path().join("policies");
    for name in ["policies", "state", "outside"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let outside = |name: &str| folder.path().join("outside").join(name);
    std::fs::write(outside("good.wasm"), &good).unwrap();
    std::fs::write(outside("evil.wasm"), &evil).unwrap();
    put(&dir.join("a.wasm"), &good);
    let mut command = Command::new("bash");
    command
        .arg(&script.path)
        .current_dir(folder.path())
        .envs([("DIR", &dir), ("GOOD", &outside("good.wasm")), ("EVIL", &outside("evil.wasm"))])
        .env("STATE", folder.path().join("state"))
        .env("TRIMTAB", place::trimtab())
        .stdin(Stdio::null());
    let mut at = Place::start(folder, sandbox);
    at.until("a", "done", "ok", &digest_of(&good))?;
    at.seen.clear();
    let output = command.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.code() {
        Some(0) => {}
        Some(SKIPPED) => {
            place::skip(&format!("hostile::files::{}", script.name), said.trim());
            return Ok(());
        }
        code => return Err(format!("its script ended with {code:?}: {said}")),
    }
    if script.restart {
        drop(at.modules.take());
        let mut folder = tempfile::tempdir().unwrap();
        std::mem::swap(&mut folder, &mut at.folder);
        at = Place::start(folder, sandbox);
    }
    judge(script, &mut at, [&digest_of(&good), &digest_of(&evil)])
}

fn judge(script: &Script, at: &mut Place, [good, evil]: [&str; 2]) -> Result<(), String> {
    let (event, serves) = script.expects.split_once("; serves ").ok_or("its expectation has no `; serves `")?;
    let wanted = match serves {
        "good" => good,
        "evil" => evil,
        "nothing" => "",
        other => return Err(format!("`serves {other}` is unknown")),
    };
    if let Some((stage, code)) = event.split_once(' ') {
        // Of an accepted file it matters which.
        at.until("a", stage, code, if code == "ok" { wanted } else { "" })?;
    }
    let end = Instant::now() + PATIENCE;
    while at.serves("a") != wanted {
        if Instant::now() > end {
            return Err(format!("what serves is {:?}: {:?}", at.serves("a"), tail(&at.seen)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // The loader is still there, and does its work.
    let after = edition(&GOOD, 3);
    let tenant = at.folder.path().join("policies/innocent");
    std::fs::create_dir_all(&tenant).map_err(|e| e.to_string())?;
    put(&tenant.join("after.wasm"), &after);
    at.until("after", "done", "ok", &digest_of(&after))?;
    let known: BTreeSet<String> = [good.to_owned(), evil.to_owned(), digest_of(&after)].into();
    if let Some(event) = at.seen.iter().find(|e| e.result == "ok" && e.stage == "done" && !known.contains(&e.digest)) {
        return Err(format!("it accepted what nobody wrote: {event:?}"));
    }
    let names: BTreeSet<&str> = at.seen.iter().map(|event| event.key.name.as_str()).collect();
    if event == "nothing" && names.iter().any(|name| !["a", "after"].contains(name)) {
        return Err(format!("it took notice of {names:?}"));
    }
    unused(at.folder.path());
    Ok(())
}

/// A folder without rights could not be removed.
fn unused(folder: &Path) {
    let _ = Command::new("chmod").arg("-R").arg("u+rwX").arg(folder).stderr(Stdio::null()).status();
}
