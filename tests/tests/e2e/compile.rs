//! Modules are compiled by a child with limits, once; what it made is kept, and loaded only as it was written.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::policies::{digest, edition, put, shipped};
use trimtab_tests::processes::usage;
use trimtab_tests::views::Policy;
use trimtab_tests::wait::{eventually, holds, within};

use super::{dry_run, scaler};

/// A policy written by hand with a function of so many steps beside it, each of which depends on the one before.
fn bomb(steps: usize, number: u32) -> Vec<u8> {
    let text = fs::read_to_string(trimtab_tests::place::root().join("tests/guests/hand.wat")).unwrap();
    let mut function = String::from("\n(func (export \"bomb\") (param i32 i32) (result i32)\n");
    for step in 0..steps {
        let (to, from) = (step % 2, (step + 1) % 2);
        let load = format!("(i32.load (local.get {to}))");
        writeln!(function, "(local.set {to} (i32.add (i32.mul (local.get {from}) (i32.const {step})) {load}))")
            .unwrap();
    }
    function.push_str("(local.get 0))\n");
    edition(
        &wat::parse_str(text.replacen(
            "  ;; The host asks for room",
            &format!("{function}  ;; The host asks for room"),
            1,
        ))
        .unwrap(),
        number,
    )
}

fn innocent() -> String {
    let pool =
        format!("{}\n        signals: {{active-sequences: 20, queue-depth: 0}}", dry_run("maxReplicas: 9", 3, &[]));
    scaler("chat", &pool, "  policies: [{name: steer, config: {target: 8}}]")
}

fn tenant(name: &str, limits: &str) -> String {
    format!(
        "apiVersion: trimtab.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: {name}}}\nspec: {{limits: {{{limits}}}}}\n---\n"
    )
}

/// Children of any of the daemon's threads.
fn compilers(pid: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    children.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Files of the cache with this ending.
fn kept(daemon: &Daemon, ending: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(daemon.state_folder().join("compiled")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == ending));
    files.sort();
    files
}

/// Whether so many modules of `evil` were refused for the time they take.
fn refused(daemon: &Daemon, count: usize) -> Result<(), String> {
    let policies = daemon.policies();
    let bombs = policies.iter().filter(|p| p.tenant.as_deref() == Some("evil"));
    let said = |p: &Policy| p.message.as_ref().is_some_and(|m| m.contains("more than 1 s of CPU time"));
    let refused = bombs.filter(|p| said(p)).count();
    holds(refused >= count, || format!("{refused} are refused"))
}

#[test]
fn compile_bombs_of_one_tenant_are_refused_and_delay_nobody_else() {
    let mut daemon = Daemon::new();
    daemon.policy("steer", &shipped("concurrency"));
    daemon.manifest("chat.yaml", &innocent());
    daemon.manifest("evil.yaml", &tenant("evil", "compileCpu: 1s"));
    let evil = daemon.policies_folder().join("evil");
    let good = daemon.policies_folder().join("good");
    for folder in [&evil, &good] {
        fs::create_dir_all(folder).unwrap();
    }
    daemon.start();
    daemon.until_desired("default/chat", 3);
    let before = usage(daemon.pid()).unwrap();

    for number in 0..12 {
        put(&evil.join(format!("bomb-{number}.wasm")), &bomb(400_000, number));
    }
    eventually("a child compiles the first", || {
        holds(!compilers(daemon.pid()).is_empty(), || "there is no child".to_owned())
    });
    // It was born with the standard three, and has none of the daemon's files.
    if let Some(child) = compilers(daemon.pid()).first()
        && let Ok(files) = fs::read_dir(format!("/proc/{child}/fd"))
    {
        let numbers: Vec<String> = files.flatten().map(|f| f.file_name().to_string_lossy().into_owned()).collect();
        assert!(numbers.iter().all(|number| ["0", "1", "2"].contains(&number.as_str())), "{numbers:?}");
    }
    put(&good.join("steer.wasm"), &edition(&shipped("concurrency"), 7));
    eventually("the good module of another tenant serves", || {
        let found = daemon.policies().into_iter().find(|p| p.tenant.as_deref() == Some("good"));
        let policy = found.ok_or_else(|| "it is not known".to_owned())?;
        holds(policy.state == "ok", || format!("{policy:?}"))
    });
    assert!(refused(&daemon, 12).is_err(), "the good module waited for all the bombs");
    within(Duration::from_secs(120), "every bomb is refused", || refused(&daemon, 12));
    eventually("the last child is gone", || {
        let left = compilers(daemon.pid());
        holds(left.is_empty(), || format!("{left:?}"))
    });

    let after = usage(daemon.pid()).unwrap();
    let grown = after.resident.saturating_sub(before.resident);
    assert!(grown < 64 << 20, "the daemon grew by {grown} bytes");
    assert_eq!(daemon.metric("trimtab_ticks_missed_total", &[("workload", "chat")]), 0.0);
    assert_eq!(daemon.pool("default/chat").desired, 3);
    assert_eq!(kept(&daemon, "refused").len(), 12, "why they are refused is remembered");

    // The next start knows them, and starts no child for them.
    daemon.stop();
    daemon.start();
    eventually("they are refused at once", || refused(&daemon, 12));
    assert!(compilers(daemon.pid()).is_empty());
}

#[test]
fn a_start_loads_what_was_compiled_and_compiles_what_is_not_as_it_was_written() {
    let mut daemon = Daemon::new();
    daemon.policy("steer", &shipped("concurrency"));
    daemon.manifest("chat.yaml", &innocent());
    daemon.start();
    let entry = kept(&daemon, "cwasm").pop().expect("an entry");
    let code = fs::read(&entry).unwrap();
    let written = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let first = written(&entry);
    daemon.stop();
    daemon.start();
    assert_eq!(written(&entry), first, "it was compiled again");
    daemon.stop();

    // Machine code that does something else: never run.
    let mut forged = code.clone();
    let middle = forged.len() / 2;
    forged[middle..middle + 64].fill(0xcc);
    fs::write(&entry, &forged).unwrap();
    daemon.start();
    daemon.until_desired("default/chat", 3);
    assert_eq!(fs::read(&entry).unwrap(), code, "it was not compiled again");
    daemon.stop();

    // A folder that others can write is not trusted at all, and the daemon says so and serves.
    let folder = daemon.state_folder().join("compiled");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    daemon.start();
    daemon.until_logged(&["machine code is not kept", "chmod 700"]);
    daemon.until_desired("default/chat", 3);
}

#[test]
fn a_tenants_limits_hold_for_its_calls_alone_and_a_change_of_them_at_once() {
    // Grows its memory by 1 MiB in each decision.
    let greedy = |number| {
        let text = fs::read_to_string(trimtab_tests::place::root().join("tests/guests/hand.wat")).unwrap();
        let grow =
            "(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))\n    (block $missing";
        edition(&wat::parse_str(text.replacen("(block $missing", grow, 1)).unwrap(), number)
    };
    let document = |namespace: &str| {
        let pool = format!("{}\n        signals: {{queue-depth: 12}}", dry_run("maxReplicas: 9", 2, &[]));
        scaler("chat", &pool, "  policies: [{name: greedy}]")
            .replace("name: chat", &format!("name: chat, namespace: {namespace}"))
    };
    let mut daemon = Daemon::new();
    daemon.policy("greedy", &greedy(0));
    daemon.manifest("chat.yaml", &(document("narrow") + &document("wide")));
    daemon.start();
    for id in ["narrow/chat", "wide/chat"] {
        daemon.until_desired(id, 3);
    }
    daemon.manifest("tenants.yaml", &tenant("narrow", "memory: 512KiB"));
    daemon.policy("greedy", &greedy(1));
    daemon.until_digest("wide/chat", "greedy", &digest(&greedy(1)));
    daemon.until_logged(&["narrow/chat", "asked for more than 512 KiB"]);
    // What was given before the limits goes on, bounded by them.
    let failed = daemon.until_decided("narrow/chat", "bounded", |d| d.stages[0].error.is_some());
    assert_eq!(failed.stages[0].error.as_ref().unwrap().code, "memory");
    assert!(daemon.decision("wide/chat").stages[0].error.is_none());
    daemon.manifest("tenants.yaml", &tenant("narrow", "memory: 4MiB"));
    daemon.until_digest("narrow/chat", "greedy", &digest(&greedy(1)));
    daemon.until_decided("narrow/chat", "within its limits again", |d| d.stages[0].error.is_none());
}
