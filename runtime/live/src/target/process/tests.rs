//! Real processes: servers that are this test program itself, started again as `the_server` below, and small shell lines.
#![allow(clippy::unwrap_used)] // a test may fail

mod ends;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use trimtab_control::sample::{Replica, ReplicaState};
use trimtab_control::time::Span;

use super::life::Process;
use super::record::{Asked, Goal, Identity, Phase};
use super::*;
use crate::target::{DrainSpec, ReadySpec, StandbySpec};

/// One state directory, and the daemon that uses it. Whatever runs in its name ends with it.
struct Host {
    place: TempDir,
    identity: String,
    store: Store,
    processes: Processes,
    clock: Clock,
}

impl Host {
    async fn new() -> Host {
        let place = tempfile::tempdir().unwrap();
        let (store, processes, clock) = Host::daemon(place.path()).await;
        Host { identity: store.identity().to_owned(), place, store, processes, clock }
    }

    async fn daemon(place: &Path) -> (Store, Processes, Clock) {
        let place = place.to_owned();
        // It waits for the lock that the daemon before lets go when its tasks have ended.
        let store = tokio::task::spawn_blocking(move || Store::open(&place).unwrap()).await.unwrap();
        let clock = Clock::system();
        (store.clone(), Processes::open(&store, &Client::new(), &clock), clock)
    }

    /// The daemon ends (targets were dropped before), something happens, and another one begins.
    async fn restart(self, between: impl FnOnce(&Path)) -> Host {
        let place = self.place.path().to_owned();
        // What runs is not ended here: it must be found again.
        let kept = self.into_place();
        wait_for_lock(&place).await;
        between(&place);
        let (store, processes, clock) = Host::daemon(&place).await;
        Host { identity: store.identity().to_owned(), place: kept, store, processes, clock }
    }

    fn into_place(mut self) -> TempDir {
        let place = std::mem::replace(&mut self.place, tempfile::tempdir().unwrap());
        self.identity = "nobody".into();
        place
    }

    fn connect(&self, spec: &ProcessSpec) -> Arc<dyn Target> {
        self.processes.connect(&id(), "gpu", spec)
    }

    fn log(&self, replica: &str) -> String {
        self.log_of(&format!("replicas/team-a/chat/gpu/{replica}"))
    }

    fn log_of(&self, file: &str) -> String {
        std::fs::read_to_string(self.place.path().join(format!("{file}.log"))).unwrap_or_default()
    }

    /// Everything that carries the marks of this directory, leaders or not.
    fn running(&self) -> Vec<i32> {
        let ours = |pid: &i32| host::marks(*pid).is_some_and(|marks| marks.state == self.identity);
        host::pids().unwrap().into_iter().filter(ours).collect()
    }

    fn pid_of(&self, replica: &str) -> i32 {
        let found = host::find(&self.identity).unwrap();
        found
            .into_iter()
            .find(|f| f.leads && f.marks.name == replica)
            .unwrap_or_else(|| panic!("{replica} does not run"))
            .pid
    }

    fn records(&self) -> Vec<Kept> {
        self.store.records::<Kept>(Record::Replica, "").into_iter().map(|(_, kept)| kept.unwrap()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for found in host::find(&self.identity).unwrap() {
            if let Some(process) = Process::adopt(found.pid, found.start, &found.marks.token, PathBuf::new()) {
                process.signal(Signal::KILL);
            }
        }
        // What a test that failed has left without a leader.
        for pid in self.running() {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

async fn wait_for_lock(place: &Path) {
    let place = place.to_owned();
    tokio::task::spawn_blocking(move || drop(Store::open(&place).unwrap())).await.unwrap();
}

fn id() -> WorkloadId {
    WorkloadId { namespace: "team-a".into(), name: "chat".into() }
}

/// Twenty ports that no other test of this run has.
fn ports() -> std::ops::RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) + (std::process::id() % 500) as u16;
    let first = 19_000 + (number % 500) * 20;
    first..=first + 19
}

fn spec(command: &[&str]) -> ProcessSpec {
    ProcessSpec {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        ports: ports(),
        env: BTreeMap::new(),
        working_dir: None,
        ready: ReadySpec { http_get: "/health".into(), timeout: Span::seconds(20) },
        drain: DrainSpec { grace: Span(100), timeout: Span(300) },
        standby: None,
    }
}

/// Servers that answer; `settings`: see `server`.
fn servers(settings: &[(&str, &str)]) -> ProcessSpec {
    let program = std::env::current_exe().unwrap();
    let name = "target::process::tests::server::the_server";
    let mut spec = spec(&[program.to_str().unwrap(), name, "--exact", "--ignored", "--nocapture"]);
    spec.env.insert("SERVE".into(), "{port} {name} {pool}".into());
    spec.env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    spec
}

fn sleepers() -> StandbySpec {
    StandbySpec { enter: "POST /sleep?level=1".parse().unwrap(), leave: "POST /wake_up".parse().unwrap() }
}

fn action(serving: u32, standby: u32, first: &[&str]) -> Action {
    Action {
        decision: "1-1-1".into(),
        generation: 1,
        pool: "gpu".into(),
        serving,
        standby,
        remove_first: first.iter().map(|name| (*name).to_owned()).collect(),
        reason: "a test".into(),
    }
}

async fn until(target: &Arc<dyn Target>, what: &str, holds: impl Fn(&TargetReport) -> bool) -> TargetReport {
    let began = Instant::now();
    loop {
        let report = target.report().await.unwrap();
        if holds(&report) {
            return report;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no {what}: {report:#?}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "not {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

fn count(report: &TargetReport, state: ReplicaState) -> usize {
    report.report.replicas.iter().filter(|replica| replica.state == state).count()
}

fn replica<'a>(report: &'a TargetReport, name: &str) -> &'a Replica {
    report.report.replicas.iter().find(|r| *r.id == *name).unwrap_or_else(|| panic!("no {name}: {report:#?}"))
}

async fn ready(target: &Arc<dyn Target>, number: usize) -> TargetReport {
    until(target, "ready replicas", |report| {
        count(report, ReplicaState::Ready) == number && report.report.replicas.len() == number
    })
    .await
}

#[tokio::test]
async fn replicas_start_serve_and_go() {
    let host = Host::new().await;
    let target = host.connect(&servers(&[]));
    let fresh = target.report().await.unwrap();
    assert_eq!((fresh.report.desired, fresh.report.replicas.len()), (0, 0), "nothing was ever asked");
    target.apply(&action(2, 0, &[])).await.unwrap();
    let starting = target.report().await.unwrap();
    assert_eq!(starting.report.desired, 2);
    let up = ready(&target, 2).await;
    assert_eq!(up.notes, Vec::<String>::new());
    let names: Vec<&str> = up.report.replicas.iter().map(|replica| &*replica.id).collect();
    assert_eq!(names, ["team-a-chat-gpu-1", "team-a-chat-gpu-2"]);
    assert!(up.report.replicas.iter().all(|replica| !replica.restarting));
    assert_eq!(target.endpoints().await, up.endpoints);
    for endpoint in &up.endpoints {
        assert!(endpoint.serving);
        let port: u16 = endpoint.url.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
        let asked = "GET /health".parse().unwrap();
        call::call(&Client::new(), port, &asked, Duration::from_secs(5)).await.unwrap();
        assert!(host.log(&endpoint.replica).contains(&format!("serves {port} {} gpu", endpoint.replica)));
        let pid = host.pid_of(&endpoint.replica);
        assert_eq!(host::stat(pid).unwrap().session, pid, "a session of its own");
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/fd/0")).unwrap(), Path::new("/dev/null"));
    }
    // The same again is nothing new.
    target.apply(&action(2, 0, &[])).await.unwrap();
    assert_eq!(ready(&target, 2).await.endpoints, up.endpoints);
    target.apply(&action(0, 0, &[])).await.unwrap();
    let leaving = target.report().await.unwrap();
    assert_eq!(count(&leaving, ReplicaState::Draining), 2);
    assert!(leaving.endpoints.iter().all(|endpoint| !endpoint.serving));
    let pids: Vec<i32> = names.iter().map(|name| host.pid_of(name)).collect();
    ready(&target, 0).await;
    eventually("collected", || pids.iter().all(|pid| host::stat(*pid).is_none())).await;
    assert!(host.records().is_empty());
    assert_eq!(host.store.record::<Asked>(Record::Pool, "team-a/chat/gpu").unwrap().unwrap().next, 3);
}

#[tokio::test]
async fn a_server_that_dies_comes_back() {
    let host = Host::new().await;
    let target = host.connect(&servers(&[]));
    target.apply(&action(1, 0, &[])).await.unwrap();
    let name = "team-a-chat-gpu-1";
    ready(&target, 1).await;
    let before = host.pid_of(name);
    kill(before);
    let down = until(&target, "restart", |report| replica(report, name).state == ReplicaState::Starting).await;
    assert!(replica(&down, name).restarting);
    assert_eq!(down.endpoints, []);
    assert!(down.notes[0].contains("was ended by signal 9"), "{:?}", down.notes);
    let up = ready(&target, 1).await;
    assert!(!replica(&up, name).restarting && up.notes.is_empty());
    assert_ne!(host.pid_of(name), before);
    assert!(host::stat(before).is_none(), "its end was collected");
}

#[tokio::test]
async fn what_dies_three_times_has_failed_until_it_is_repaired() {
    let host = Host::new().await;
    let target = host.connect(&spec(&["sh", "-c", "echo cannot find {name}.bin; exit 3"]));
    target.apply(&action(1, 0, &[])).await.unwrap();
    let name = "team-a-chat-gpu-1";
    let began = Instant::now();
    let failed = until(&target, "failure", |report| count(report, ReplicaState::Failed) == 1).await;
    assert!(began.elapsed() > Duration::from_millis(1500), "0.5 s and 1 s lie between the three");
    assert_eq!(failed.report.desired, 1);
    let note = &failed.notes[0];
    for part in [name, "3 deaths", "exited with status 3", "cannot find team-a-chat-gpu-1.bin"] {
        assert!(note.contains(part), "{note}");
    }
    assert_eq!(host.log(name).lines().count(), 3);
    let again = host.connect(&servers(&[]));
    assert!(Arc::ptr_eq(&target, &again), "one target per pool");
    ready(&target, 1).await;
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_named_with_the_fix() {
    let host = Host::new().await;
    let plain = host.place.path().join("plain.txt");
    std::fs::write(&plain, "no program").unwrap();
    let missing = ProcessSpec { working_dir: Some("/nowhere/at/all".into()), ..spec(&["true"]) };
    for (pool, spec, parts) in [
        ("a", spec(&["no-such-program-7", "{port}"]), ["`no-such-program-7` was not found", "full path"]),
        ("b", spec(&[plain.to_str().unwrap()]), ["plain.txt` may not be run", "chmod +x"]),
        ("c", missing, ["/nowhere/at/all is not a directory", "`workingDir`"]),
    ] {
        let target = host.processes.connect(&id(), pool, &spec);
        target.apply(&action(1, 0, &[])).await.unwrap();
        let report = until(&target, "a note", |report| !report.notes.is_empty()).await;
        assert!(parts.iter().all(|part| report.notes[0].contains(part)), "{:?}", report.notes);
    }
}

#[tokio::test]
async fn what_is_not_ready_in_time_is_ended_with_all_it_started() {
    let host = Host::new().await;
    let mut spec = spec(&["sh", "-c", "sleep 1000 & sleep 1001"]);
    spec.ready.timeout = Span(300);
    let target = host.connect(&spec);
    target.apply(&action(1, 0, &[])).await.unwrap();
    let late = until(&target, "a note", |report| !report.notes.is_empty()).await;
    assert!(late.notes[0].contains("was not ready within 300ms"), "{:?}", late.notes);
    until(&target, "failure", |report| count(report, ReplicaState::Failed) == 1).await;
    assert_eq!(host.running(), Vec::<i32>::new());
    target.apply(&action(0, 0, &[])).await.unwrap();
    ready(&target, 0).await;
}

#[tokio::test]
async fn what_the_first_process_leaves_behind_ends_with_it() {
    let host = Host::new().await;
    let target = host.connect(&spec(&["sh", "-c", "sleep 1000 & setsid sleep 1001 & sleep 0.3; exit 4"]));
    target.apply(&action(1, 0, &[])).await.unwrap();
    eventually("started", || host.running().len() >= 3).await;
    until(&target, "a death", |report| report.notes.iter().any(|note| note.contains("status 4"))).await;
    target.apply(&action(0, 0, &[])).await.unwrap();
    ready(&target, 0).await;
    assert_eq!(host.running(), Vec::<i32>::new());
}

#[tokio::test]
async fn a_replica_leaves_when_its_work_is_done() {
    let host = Host::new().await;
    let mut spec = servers(&[]);
    spec.drain = DrainSpec { grace: Span(400), timeout: Span::seconds(60) };
    let target = host.connect(&spec);
    target.apply(&action(3, 0, &[])).await.unwrap();
    ready(&target, 3).await;
    let names = ["team-a-chat-gpu-1", "team-a-chat-gpu-2", "team-a-chat-gpu-3"];
    let note = |work: [f64; 3]| {
        let now = host.clock.now();
        let readings: Vec<_> = names.iter().zip(work).map(|(name, work)| (Arc::from(*name), work, now)).collect();
        target.note_work(&readings);
    };
    note([5.0, 1.0, 3.0]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    target.apply(&action(2, 0, &[])).await.unwrap();
    let leaving = target.report().await.unwrap();
    assert_eq!(replica(&leaving, names[1]).state, ReplicaState::Draining, "the one with the least work");
    let began = Instant::now();
    for work in [1.0, 0.0, 1.0] {
        tokio::time::sleep(Duration::from_millis(250)).await;
        note([5.0, work, 3.0]);
    }
    tokio::time::sleep(Duration::from_millis(250)).await;
    note([5.0, 0.0, 3.0]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(target.report().await.unwrap().report.replicas.len(), 3, "once without work is not enough");
    note([5.0, 0.0, 3.0]);
    ready(&target, 2).await;
    assert!(began.elapsed() < Duration::from_secs(30), "long before the time-out");
    // By name, before all others.
    target.apply(&action(1, 0, &[names[0]])).await.unwrap();
    let leaving = target.report().await.unwrap();
    assert_eq!(replica(&leaving, names[0]).state, ReplicaState::Draining);
}

#[tokio::test]
async fn what_drains_is_brought_back_rather_than_started_anew() {
    let host = Host::new().await;
    let mut spec = servers(&[]);
    spec.drain = DrainSpec { grace: Span::seconds(60), timeout: Span::seconds(60) };
    let target = host.connect(&spec);
    target.apply(&action(2, 0, &[])).await.unwrap();
    let before = ready(&target, 2).await;
    target.apply(&action(1, 0, &[])).await.unwrap();
    assert_eq!(count(&target.report().await.unwrap(), ReplicaState::Draining), 1);
    target.apply(&action(3, 0, &[])).await.unwrap();
    let back = target.report().await.unwrap();
    assert_eq!(count(&back, ReplicaState::Ready), 2);
    let after = ready(&target, 3).await;
    assert!(before.endpoints.iter().all(|endpoint| after.endpoints.contains(endpoint)));
    // One that was named as silent is not.
    target.apply(&action(2, 0, &["team-a-chat-gpu-1"])).await.unwrap();
    target.apply(&action(3, 0, &[])).await.unwrap();
    let report = until(&target, "another", |report| count(report, ReplicaState::Ready) == 3).await;
    assert_eq!(replica(&report, "team-a-chat-gpu-1").state, ReplicaState::Draining);
}

#[tokio::test]
async fn a_restart_finds_everything_as_it_was() {
    let host = Host::new().await;
    let mut spec = servers(&[]);
    spec.drain = DrainSpec { grace: Span::seconds(1), timeout: Span::seconds(2) };
    let target = host.connect(&spec);
    target.apply(&action(3, 0, &[])).await.unwrap();
    ready(&target, 3).await;
    target.apply(&action(2, 0, &["team-a-chat-gpu-2"])).await.unwrap();
    let before = target.report().await.unwrap();
    assert_eq!(count(&before, ReplicaState::Draining), 1);
    let pids = host.running();
    drop(target);
    // One dies while no daemon looks.
    let victim = host.pid_of("team-a-chat-gpu-3");
    let host = host.restart(|_| kill(victim)).await;
    let target = host.connect(&spec);
    let after = target.report().await.unwrap();
    assert_eq!(after.report.desired, 2);
    assert_eq!(replica(&after, "team-a-chat-gpu-1"), replica(&before, "team-a-chat-gpu-1"));
    let third = replica(&after, "team-a-chat-gpu-3");
    assert!(third.state == ReplicaState::Starting && third.restarting, "{third:?}");
    let up = ready(&target, 2).await;
    let names: Vec<&str> = up.report.replicas.iter().map(|replica| &*replica.id).collect();
    assert_eq!(names, ["team-a-chat-gpu-1", "team-a-chat-gpu-3"], "the drain went on");
    let now = host.running();
    assert_eq!(now.iter().filter(|pid| pids.contains(pid)).count(), 1);
    assert_eq!(now.len(), 2);
    // It is watched like one's own child.
    kill(host.pid_of("team-a-chat-gpu-1"));
    until(&target, "a death", |report| replica(report, "team-a-chat-gpu-1").restarting).await;
    ready(&target, 2).await;
}

#[tokio::test]
async fn a_lost_state_file_loses_no_replica() {
    let host = Host::new().await;
    let spec = servers(&[]);
    let target = host.connect(&spec);
    target.apply(&action(3, 0, &[])).await.unwrap();
    let before = ready(&target, 3).await;
    let mut pids = host.running();
    drop(target);
    let remove = |place: &Path| {
        for file in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(place.join(file));
        }
    };
    let host = host.restart(remove).await;
    let target = host.connect(&spec);
    let after = ready(&target, 3).await;
    assert_eq!((after.report.desired, after.endpoints), (3, before.endpoints));
    let mut now = host.running();
    now.sort_unstable();
    pids.sort_unstable();
    assert_eq!(now, pids);
    target.apply(&action(4, 0, &[])).await.unwrap();
    let up = ready(&target, 4).await;
    replica(&up, "team-a-chat-gpu-4");
}

fn kept(name: &str, token: &str, port: u16, phase: Phase, process: Option<Identity>) -> Kept {
    let now = Clock::system().now();
    Kept {
        token: token.into(),
        pool: "team-a/chat/gpu".into(),
        name: name.into(),
        port,
        command: Vec::new(),
        created: now,
        nth: 1,
        process,
        goal: Goal::Serve,
        phase,
        entered: now,
        since: now,
        restarting: false,
        unwell: false,
        deaths: Vec::new(),
        tries: 0,
        given_up: false,
    }
}

/// The start of a replica by a daemon that is then gone; its output is in `early.log`.
fn order(host: &Host, spec: &ProcessSpec, token: &str, name: &str, port: u16) -> spawn::Order {
    let fill = |text: &String| spawn::fill(text, port, name, "gpu");
    spawn::Order {
        command: spec.command.clone(),
        env: spec.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
        working_dir: None,
        log: host.place.path().join("early.log"),
        marks: host::Marks {
            token: token.into(),
            state: host.identity.clone(),
            pool: "team-a/chat/gpu".into(),
            name: name.into(),
            port,
            nth: 1,
        },
    }
}

#[tokio::test]
async fn an_intent_becomes_one_process_whatever_came_between() {
    let host = Host::new().await;
    let spec = servers(&[]);
    let port = *spec.ports.start();
    let asked = Asked { serving: 2, standby: 0, next: 9, decision: String::new() };
    host.store.put(Record::Pool, "team-a/chat/gpu", &asked);
    // Killed before the spawn, and killed before the process was recorded.
    host.store.put(Record::Replica, "00a", &kept("team-a-chat-gpu-7", "00a", port, Phase::Intended, None));
    host.store.put(Record::Replica, "00b", &kept("team-a-chat-gpu-8", "00b", port + 1, Phase::Intended, None));
    let early = spawn::spawn(&order(&host, &spec, "00b", "team-a-chat-gpu-8", port + 1)).unwrap();
    let host = host.restart(|_| ()).await;
    let target = host.connect(&spec);
    let up = ready(&target, 2).await;
    let names: Vec<&str> = up.report.replicas.iter().map(|replica| &*replica.id).collect();
    assert_eq!(names, ["team-a-chat-gpu-7", "team-a-chat-gpu-8"]);
    assert_eq!(host.pid_of("team-a-chat-gpu-8"), early.pid);
    assert_eq!(host.running().len(), 2);
    assert!(up.report.replicas.iter().all(|replica| !replica.restarting));
}

#[tokio::test]
async fn a_number_that_went_to_another_process_is_never_signalled() {
    let host = Host::new().await;
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = i32::try_from(stranger.id()).unwrap();
    let start = host::stat(pid).unwrap().start;
    let boot = host::boot_id();
    for (name, start, boot) in [("x-1", start - 1, boot.clone()), ("x-2", start, "another boot".into())] {
        let process = Identity { pid, start, boot };
        let record = Kept { goal: Goal::End, ..kept(name, name, 0, Phase::Ending, Some(process)) };
        host.store.put(Record::Replica, name, &record);
    }
    let target = host.connect(&servers(&[]));
    ready(&target, 0).await;
    eventually("forgotten", || host.records().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(stranger.try_wait().unwrap().is_none(), "it lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_passed_over_and_none_is_said() {
    let host = Host::new().await;
    let mut spec = servers(&[]);
    let first = *spec.ports.start();
    spec.ports = first..=first + 1;
    let listener = std::net::TcpListener::bind(("127.0.0.1", first)).unwrap();
    let target = host.connect(&spec);
    target.apply(&action(1, 0, &[])).await.unwrap();
    let up = ready(&target, 1).await;
    assert_eq!(up.endpoints[0].url, format!("http://127.0.0.1:{}", first + 1));
    target.apply(&action(2, 0, &[])).await.unwrap();
    let short = until(&target, "a note", |report| !report.notes.is_empty()).await;
    assert!(short.notes[0].contains(&format!("no port of {first}-{} is free", first + 1)), "{:?}", short.notes);
    assert_eq!((short.report.desired, short.report.replicas.len()), (2, 1));
    drop(listener);
    let up = ready(&target, 2).await;
    assert!(up.notes.is_empty());
}

#[tokio::test]
async fn the_standby_tier_is_entered_after_a_drain_and_left_first() {
    let host = Host::new().await;
    let spec = ProcessSpec { standby: Some(sleepers()), ..servers(&[("SLOW", "/wake_up")]) };
    let target = host.connect(&spec);
    target.apply(&action(2, 0, &[])).await.unwrap();
    let up = ready(&target, 2).await;
    assert!(up.report.can_standby);
    target.apply(&action(1, 1, &[])).await.unwrap();
    assert_eq!(count(&target.report().await.unwrap(), ReplicaState::Draining), 1, "never without a drain");
    let asleep = until(&target, "sleep", |report| count(report, ReplicaState::Standby) == 1).await;
    let sleeper = asleep.report.replicas.iter().find(|r| r.state == ReplicaState::Standby).unwrap().id.clone();
    assert_eq!((asleep.report.desired, asleep.report.standby, asleep.endpoints.len()), (1, 1, 1));
    assert!(host.log(&sleeper).contains("POST /sleep?level=1"));
    // It outlives a restart.
    drop(target);
    let host = host.restart(|_| ()).await;
    let target = host.connect(&spec);
    let found = target.report().await.unwrap();
    assert_eq!(replica(&found, &sleeper), replica(&asleep, &sleeper));
    let pid = host.pid_of(&sleeper);
    target.apply(&action(2, 0, &[])).await.unwrap();
    let waking = target.report().await.unwrap();
    assert_eq!(replica(&waking, &sleeper).state, ReplicaState::Starting);
    assert!(!replica(&waking, &sleeper).restarting);
    ready(&target, 2).await;
    assert_eq!(host.pid_of(&sleeper), pid, "woken, not started");
    assert!(host.log(&sleeper).contains("POST /wake_up"));
    // From nothing: it is started for it, and never serves.
    target.apply(&action(2, 1, &[])).await.unwrap();
    let asleep = until(&target, "sleep", |report| {
        assert!(count(report, ReplicaState::Ready) == 2 && count(report, ReplicaState::Starting) == 0);
        count(report, ReplicaState::Standby) == 1
    })
    .await;
    assert_eq!(asleep.endpoints.len(), 2);
    target.apply(&action(2, 0, &[])).await.unwrap();
    ready(&target, 2).await;
}

#[tokio::test]
async fn a_replica_that_will_not_sleep_is_replaced() {
    let host = Host::new().await;
    let spec = ProcessSpec { standby: Some(sleepers()), ..servers(&[("REFUSE", "/sleep")]) };
    let target = host.connect(&spec);
    target.apply(&action(1, 1, &[])).await.unwrap();
    let said = until(&target, "a note", |report| !report.notes.is_empty()).await;
    assert!(said.notes[0].contains("POST /sleep?level=1: answered 500"), "{:?}", said.notes);
    let name = "team-a-chat-gpu-2";
    until(&target, "a replacement", |report| {
        report.notes.iter().any(|note| note.contains("3 times in a row") && note.contains(name))
    })
    .await;
    until(&target, "another try", |_| host.log(name).matches("serves").count() == 2).await;
    assert_eq!(count(&target.report().await.unwrap(), ReplicaState::Ready), 1, "the other one serves on");
    let refused = host.processes.connect(&id(), "other", &servers(&[])).apply(&action(1, 1, &[])).await;
    assert!(matches!(refused, Err(TargetError::Refused(why)) if why.contains("add `standby`")));
}

#[tokio::test]
async fn stopping_leaves_nothing_behind() {
    let host = Host::new().await;
    let spec = servers(&[]);
    let target = host.connect(&spec);
    target.apply(&action(2, 0, &[])).await.unwrap();
    let other = host.processes.connect(&id(), "other", &servers(&[]));
    other.apply(&action(1, 0, &[])).await.unwrap();
    ready(&target, 2).await;
    ready(&other, 1).await;
    // A workload goes away: its replicas stay, and are counted.
    drop(other);
    eventually("unattended", || !host.processes.unattended().is_empty()).await;
    assert_eq!(host.processes.unattended(), BTreeMap::from([("team-a/chat/other".to_owned(), 1)]));
    assert_eq!(host.running().len(), 3);
    host.processes.stop_all().await;
    eventually("collected", || host.running().is_empty()).await;
    assert!(host.records().is_empty());
    assert!(target.apply(&action(2, 0, &[])).await.is_err());
    // And the pool can be begun anew.
    drop(target);
    let target = host.connect(&spec);
    assert_eq!(target.report().await.unwrap().report.desired, 0);
    target.apply(&action(1, 0, &[])).await.unwrap();
    ready(&target, 1).await;
    host.processes.stop_all().await;
}

/// Kills a process, and waits until it is dead: a signal takes its time on a busy machine.
fn kill(pid: i32) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let latest = std::time::Instant::now() + Duration::from_secs(10);
    while host::marks(pid).is_some() {
        assert!(std::time::Instant::now() < latest, "{pid} does not die");
        std::thread::sleep(Duration::from_millis(1));
    }
}
