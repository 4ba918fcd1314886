//! Tests of single arguments.

use super::*;

#[test]
fn durations_are_read_as_manifests_write_them() {
    let cases =
        [("250ms", 250), ("15s", 15_000), ("5m", 300_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1m1s", 61_000)];
    for (text, ms) in cases {
        assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "0s", "5", "s", "5 m", "-1s", "1.5h", "5min", "99999999999999999999s", "999999999999999999h"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn workloads_and_pools_are_strict_about_names() {
    assert_eq!("team-a/chat".parse(), Ok(Workload { namespace: "team-a".into(), name: "chat".into() }));
    for text in ["", "/", "a/", "/b", "a/b/c", "../x", "A/b", "a/b?x", "a b/c"] {
        assert!(text.parse::<Workload>().is_err(), "{text}");
    }
    assert!("chat".parse::<Workload>().unwrap_err().contains("default/chat"));
    assert_eq!(pool_count("spot=3"), Ok(("spot".to_owned(), 3)));
    for text in ["spot", "spot=", "=3", "spot=-1", "spot=x"] {
        assert!(pool_count(text).is_err(), "{text}");
    }
}
