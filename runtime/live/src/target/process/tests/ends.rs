//! Ends: of a server whose children live on, while a daemon watches and while none does; of a pool's own task.

use std::sync::atomic::AtomicBool;

use rustix::process::{Pid, WaitOptions, waitpid};

use super::*;
use crate::clock::Reading;
use crate::store::random_hex;

const NAME: &str = "team-a-chat-gpu-1";

/// Servers that have run a line of shell before.
fn after(line: &str) -> ProcessSpec {
    let mut spec = servers(&[]);
    let shell = ["sh", "-c", &format!("{line} exec \"$@\""), "sh"].map(str::to_owned);
    spec.command = [shell.to_vec(), spec.command].concat();
    spec
}

#[tokio::test]
async fn a_dead_server_serves_nobody_while_what_it_left_is_ended() {
    let host = Host::new().await;
    let target = host.connect(&after("trap '' TERM; sleep 1000 & trap - TERM;"));
    target.apply(&action(1, 0, &[])).await.unwrap();
    ready(&target, 1).await;
    let first = host.pid_of(NAME);
    let left: Vec<i32> = host.running().into_iter().filter(|pid| *pid != first).collect();
    assert_eq!(left.len(), 1);
    kill(first);
    let down = until(&target, "a death", |report| count(report, ReplicaState::Ready) == 0).await;
    assert_eq!(host.running(), left, "what it left still runs, and nothing beside it");
    assert_eq!((down.endpoints.len(), target.endpoints().await.len()), (0, 0));
    assert!(replica(&down, NAME).state == ReplicaState::Starting && replica(&down, NAME).restarting, "{down:?}");
    kill(left[0]);
    until(&target, "a note", |report| report.notes.iter().any(|note| note.contains("was ended by signal 9"))).await;
    ready(&target, 1).await;
    assert_eq!(host.records()[0].deaths.len(), 1);
}

/// A replica of an earlier daemon whose first process ended when no daemon ran. What runs of it still: a shell that takes
/// two seconds to end, and the leader of a session of its own.
async fn abandoned(host: &Host, goal: Goal, phase: Phase) -> Vec<i32> {
    let slow = "sh -c 'trap \"sleep 2; exit\" TERM; echo waits; while :; do sleep 0.1; done' &";
    let spec = after(&format!("{slow} setsid sleep 1001 &"));
    // Whatever carries it is the replica's: no other test may have the same.
    let (port, token) = (*spec.ports.start(), random_hex().unwrap());
    let first = spawn::spawn(&order(host, &spec, &token, NAME, port)).unwrap();
    eventually("started", || host.log_of("early").contains("waits") && host.log_of("early").contains("serves")).await;
    eventually("three leaders and children", || host.running().len() >= 3).await;
    let process = Identity { pid: first.pid, start: first.start, boot: host::boot_id() };
    let record = Kept { goal, ..kept(NAME, &token, port, phase, Some(process)) };
    host.store.put(Record::Replica, &token, &record);
    let serving = u32::from(goal == Goal::Serve);
    let asked = Asked { serving, standby: 0, next: 2, decision: String::new() };
    host.store.put(Record::Pool, "team-a/chat/gpu", &asked);
    kill(first.pid);
    waitpid(Pid::from_raw(first.pid), WaitOptions::empty()).unwrap();
    let left = host.running();
    assert!(left.len() >= 2 && !left.contains(&first.pid), "{left:?}");
    left
}

fn survivors(host: &Host, left: &[i32]) -> Vec<i32> {
    host.running().into_iter().filter(|pid| left.contains(pid)).collect()
}

#[tokio::test]
async fn what_a_server_left_while_no_daemon_ran_ends_before_the_server_is_started_again() {
    let host = Host::new().await;
    let left = abandoned(&host, Goal::Serve, Phase::Ready).await;
    let target = host.connect(&servers(&[]));
    let down = target.report().await.unwrap();
    assert!(replica(&down, NAME).state == ReplicaState::Starting && replica(&down, NAME).restarting, "{down:?}");
    assert_eq!(down.endpoints, []);
    let said = |report: &TargetReport| report.notes.iter().any(|note| note.contains("while no daemon watched it"));
    until(&target, "a note", said).await;
    assert_eq!(survivors(&host, &left), Vec::<i32>::new());
    ready(&target, 1).await;
    assert_eq!(host.running(), [host.pid_of(NAME)]);
    assert_eq!(host.records()[0].deaths.len(), 1);
}

#[tokio::test]
async fn what_was_left_of_a_replica_that_was_to_go_ends_before_it_is_forgotten() {
    let host = Host::new().await;
    let left = abandoned(&host, Goal::End, Phase::Draining).await;
    let target = host.connect(&servers(&[]));
    ready(&target, 0).await;
    assert_eq!(survivors(&host, &left), Vec::<i32>::new());
    eventually("forgotten", || host.records().is_empty()).await;
}

#[tokio::test]
async fn stopping_ends_what_was_left_of_replicas_that_nobody_looks_after() {
    let host = Host::new().await;
    abandoned(&host, Goal::Serve, Phase::Ready).await;
    host.processes.stop_all().await;
    assert_eq!(host.running(), Vec::<i32>::new());
    assert!(host.records().is_empty());
}

#[tokio::test]
async fn a_start_that_was_never_recorded_is_found_by_its_marks() {
    for ports in [20, 2, 1] {
        let host = Host::new().await;
        // The leader of another session carries the same marks.
        let mut spec = after("setsid sleep 1001 &");
        let first = *spec.ports.start();
        spec.ports = first..=first + ports - 1;
        let target = host.connect(&spec);
        target.apply(&action(1, 0, &[])).await.unwrap();
        ready(&target, 1).await;
        let records = host.records();
        kill(host.records()[0].process.as_ref().unwrap().pid);
        until(&target, "a restart", |report| replica(report, NAME).restarting).await;
        let up = ready(&target, 1).await;
        let mut running = host.running();
        running.sort_unstable();
        assert_eq!(running.len(), 2);
        drop(target);
        // As if the disk had been full since the first start.
        for record in &records {
            host.store.put(Record::Replica, &record.token, record);
        }
        host.store.flush().await.unwrap();
        let host = host.restart(|_| ()).await;
        assert_eq!(host.records(), records);
        let target = host.connect(&spec);
        let found = ready(&target, 1).await;
        assert_eq!(found.endpoints, up.endpoints, "{ports} ports");
        let mut now = host.running();
        now.sort_unstable();
        assert_eq!(now, running, "{ports} ports");
        let record = &host.records()[0];
        assert_eq!((record.process.as_ref().unwrap().pid, record.nth), (running[0], 2));
        if ports > 1 {
            // The port that was recorded is free for another.
            target.apply(&action(2, 0, &[])).await.unwrap();
            ready(&target, 2).await;
        }
    }
}

#[tokio::test]
async fn a_pool_whose_task_broke_off_reports_nothing() {
    let host = Host::new().await;
    let broken = Arc::new(AtomicBool::new(false));
    let (breaks, system) = (broken.clone(), Clock::system());
    let clock = Clock::with(move || {
        assert!(!breaks.swap(false, Ordering::SeqCst), "the clock of this test stands still once");
        Reading { wall: Duration::from_millis(system.now().0), passed: Duration::from_millis(system.now().0) }
    });
    let processes = Processes::open(&host.store, &Client::new(), &clock);
    let target = processes.connect(&id(), "gpu", &servers(&[]));
    target.report().await.unwrap();
    let handle = processes.seats().values().next().unwrap().handle.upgrade().unwrap();
    broken.store(true, Ordering::SeqCst);
    target.note_work(&[]);
    tokio::time::timeout(Duration::from_secs(30), handle.asks.closed()).await.unwrap();
    let error = target.report().await.unwrap_err().to_string();
    assert!(error.contains("team-a/chat/gpu") && error.contains("log"), "{error}");
    assert!(target.apply(&action(1, 0, &[])).await.is_err());
}
