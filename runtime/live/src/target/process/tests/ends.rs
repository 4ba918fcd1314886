//! Ends: of a pool's own task.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::clock::Reading;

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
