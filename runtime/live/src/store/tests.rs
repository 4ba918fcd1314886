use std::collections::BTreeMap;
use std::path::Path;

use trimtab_control::saved::Slot;

use super::*;

fn id(name: &str) -> WorkloadId {
    WorkloadId { namespace: "team-a".into(), name: name.into() }
}

fn saved(sequence: u64, bytes: &[u8]) -> Saved {
    let state = SavedState {
        stage: "forecast".into(),
        slot: Slot::Stage,
        version: 3,
        digest: "sha256:00".into(),
        bytes: bytes.to_vec(),
        good: 7,
        previous: false,
    };
    let before = SavedState { previous: true, digest: "sha256:01".into(), ..state.clone() };
    let fallback = SavedState { slot: Slot::Fallback, ..state.clone() };
    Saved { facts: SavedFacts { sequence, ..SavedFacts::default() }, states: vec![fallback, state, before] }
}

async fn filled(directory: &Path) {
    let store = Store::open(directory).unwrap();
    store.save(&id("chat"), &saved(1, b"old")).unwrap();
    store.save(&id("chat"), &saved(2, b"new")).unwrap();
    store.put(Record::Pool, "team-a/chat/default", &BTreeMap::from([("serving", 3)]));
    store.put(Record::Replica, "gone", &1);
    store.remove(Record::Replica, "gone");
    store.audit(&id("chat"), Time(5), "paused for 30m: lunch").unwrap();
    store.flush().await.unwrap();
}

#[tokio::test]
async fn what_is_kept_comes_back() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path()).await;
    let store = Store::open(place.path()).unwrap();
    assert_eq!(store.load(&id("chat")).unwrap(), Some(saved(2, b"new")));
    assert_eq!(store.load(&id("other")).unwrap(), None);
    let pool: Option<BTreeMap<String, u32>> = store.record(Record::Pool, "team-a/chat/default").unwrap();
    assert_eq!(pool, Some(BTreeMap::from([("serving".to_owned(), 3)])));
    assert!(store.records::<u32>(Record::Replica, "").is_empty());
    assert_eq!(store.audit_lines().len(), 1);
    assert!(store.repaired().is_none());
}

#[tokio::test]
async fn what_is_forgotten_stays_away() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path()).await;
    let store = Store::open(place.path()).unwrap();
    store.forget(&id("chat"));
    drop(store);
    assert_eq!(Store::open(place.path()).unwrap().load(&id("chat")).unwrap(), None);
}

#[test]
fn a_second_daemon_is_told_who_has_the_directory() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let identity = store.identity().to_owned();
    let error = Store::open(place.path()).unwrap_err();
    assert!(matches!(&error, StoreError::InUse { holder, .. } if *holder == std::process::id().to_string()), "{error}");
    drop(store);
    let again = Store::open(place.path()).unwrap();
    assert_eq!(again.identity(), identity, "a directory keeps its name");
}

#[tokio::test]
async fn a_broken_file_is_moved_aside() {
    let header: &[u8] = b"SQLite format 3\0";
    for (what, text) in [("text", &b"this is no database, but long enough to look at"[..]), ("a header alone", header)]
    {
        let place = tempfile::tempdir().unwrap();
        filled(place.path()).await;
        let file = place.path().join("state.db");
        std::fs::write(&file, [text, &[7; 5000]].concat()).unwrap();
        let store = Store::open(place.path()).unwrap();
        assert!(matches!(store.repaired(), Some(StoreError::Corrupt { .. })), "{what}: {:?}", store.repaired());
        assert!(place.path().join("state.db.broken").exists());
        assert_eq!(store.load(&id("chat")).unwrap(), None);
        store.save(&id("chat"), &saved(9, b"")).unwrap();
        store.flush().await.unwrap();
        drop(store);
        assert_eq!(Store::open(place.path()).unwrap().load(&id("chat")).unwrap(), Some(saved(9, b"")));
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_or_replaced_is_written_anew_whole() {
    for replacement in [None, Some([7_u8; 9000])] {
        let place = tempfile::tempdir().unwrap();
        filled(place.path()).await;
        let store = Store::open(place.path()).unwrap();
        std::fs::remove_file(place.path().join("state.db")).unwrap();
        if let Some(bytes) = replacement {
            std::fs::write(place.path().join("state.db"), bytes).unwrap();
        }
        for attempt in ["*/cooldown", "*/concurrency"] {
            store.put(Record::DryRun, attempt, &"sha256:00");
            // The first may fail, having moved the broken file aside.
            let _ = store.flush().await;
        }
        store.flush().await.unwrap();
        drop(store);
        let store = Store::open(place.path()).unwrap();
        assert!(store.repaired().is_none());
        assert_eq!(store.load(&id("chat")).unwrap(), Some(saved(2, b"new")));
        assert_eq!(store.records::<String>(Record::DryRun, "").len(), 2);
    }
}

#[tokio::test]
async fn a_later_schema_is_refused() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path()).await;
    let connection = rusqlite::Connection::open(place.path().join("state.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Store::open(place.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_write_that_fails_is_told_and_tried_again() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path()).await;
    let store = Store::open(place.path()).unwrap();
    // Another holder of the write lock: to the writer the same as a disk that takes nothing.
    let blocker = rusqlite::Connection::open(place.path().join("state.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.put(Record::Webhook, "team-a/chat/default", &4);
    let error = store.flush().await.unwrap_err();
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    assert!(store.failing().is_some());
    assert_eq!(store.record::<u32>(Record::Webhook, "team-a/chat/default").unwrap(), Some(4));
    blocker.execute_batch("ROLLBACK").unwrap();
    store.put(Record::Webhook, "team-a/chat/other", &5);
    store.flush().await.unwrap();
    assert!(store.failing().is_none());
    drop(store);
    let store = Store::open(place.path()).unwrap();
    assert_eq!(store.records::<u32>(Record::Webhook, "team-a/").len(), 2, "the failed write was made up for");
}

#[tokio::test]
async fn audit_lines_are_bounded() {
    let place = tempfile::tempdir().unwrap();
    {
        let store = Store::open(place.path()).unwrap();
        for n in 0..AUDIT_LINES as u64 + 50 {
            store.audit(&id("chat"), Time(n), "line").unwrap();
        }
        store.flush().await.unwrap();
    }
    let lines = Store::open(place.path()).unwrap().audit_lines();
    assert_eq!((lines.len(), lines[0].at), (AUDIT_LINES, Time(50)));
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state")).unwrap_err();
    assert!(error.to_string().contains("file/state"), "{error}");
}
