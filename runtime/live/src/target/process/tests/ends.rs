//! Ends: of a server whose children live on; of a pool's own task.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::clock::Reading;

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
