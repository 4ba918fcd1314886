#![allow(clippy::unwrap_used)] // a test may fail

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

fn spec() -> DryRunSpec {
    DryRunSpec {
        replicas: 2,
        endpoints: vec![
            "http://127.0.0.1:8000/".into(),
            "http://127.0.0.1:8001".into(),
            "http://127.0.0.1:8002".into(),
        ],
        signals: BTreeMap::new(),
    }
}

fn open(place: &Path) -> Arc<dyn Target> {
    let id = WorkloadId { namespace: "team-a".into(), name: "chat".into() };
    connect(&id, "default", &spec(), &Store::open(place).unwrap(), &Clock::system())
}

fn action(serving: u32) -> Action {
    Action {
        decision: "d".into(),
        generation: 1,
        pool: "default".into(),
        serving,
        standby: 0,
        remove_first: Vec::new(),
        reason: String::new(),
    }
}

#[tokio::test]
async fn what_is_asked_is_true_at_once_and_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let ids = |report: &TargetReport| report.report.replicas.iter().map(|r| r.id.to_string()).collect::<Vec<_>>();
    {
        let target = open(place.path());
        let first = target.report().await.unwrap();
        assert_eq!(ids(&first), ["chat-default-0", "chat-default-1"]);
        assert_eq!((first.report.desired, first.report.can_standby), (2, false));
        assert!(first.report.replicas.iter().all(|r| r.state == ReplicaState::Ready && !r.restarting));
        let urls: Vec<_> = first.endpoints.iter().map(|e| (&*e.replica, e.url.as_str(), e.serving)).collect();
        let want =
            [("chat-default-0", "http://127.0.0.1:8000", true), ("chat-default-1", "http://127.0.0.1:8001", true)];
        assert_eq!(urls, want);
        target.apply(&action(11)).await.unwrap();
        target.apply(&action(11)).await.unwrap();
        let many = target.report().await.unwrap();
        assert!(ids(&many).is_sorted() && ids(&many).len() == 11);
        assert_eq!(target.endpoints().await.len(), 3, "those that there are");
        target.apply(&action(1)).await.unwrap();
    }
    let target = open(place.path());
    assert_eq!(ids(&target.report().await.unwrap()), ["chat-default-0"]);
    target.apply(&action(0)).await.unwrap();
    assert!(target.endpoints().await.is_empty());
    drop(target);
    assert_eq!(open(place.path()).report().await.unwrap().report.desired, 0);
}
