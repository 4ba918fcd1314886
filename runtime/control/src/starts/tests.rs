//! Start-up times: who is counted, who is not.

#![allow(clippy::unwrap_used)] // a test may fail

use super::*;
use crate::sample::Replica;

fn report(replicas: &[(&str, ReplicaState, u64)]) -> PoolReport {
    PoolReport {
        pool: Arc::from("default"),
        at: Time(0),
        desired: 0,
        standby: 0,
        can_standby: true,
        rolling_out: false,
        replicas: replicas
            .iter()
            .map(|(id, state, since)| Replica {
                id: Arc::from(*id),
                state: *state,
                since: Time(*since),
                restarting: false,
            })
            .collect(),
    }
}

const MANIFEST: Span = Span(180_000);
use ReplicaState::{Ready, Standby, Starting};

/// Accepted at 0, ready after so many milliseconds each.
fn measured(durations: &[u64]) -> Starts {
    let mut starts = Starts::default();
    starts.meet(&report(&[]), Time(0));
    for (index, lasted) in durations.iter().enumerate() {
        let id = format!("r{index}");
        starts.ordered(Time(0), 1, index as u32 + 1);
        starts.meet(&report(&[(&id, Starting, 500)]), Time(500));
        starts.meet(&report(&[(&id, Ready, *lasted)]), Time(*lasted));
    }
    starts
}

#[test]
fn the_manifest_counts_until_three_were_measured() {
    assert_eq!(measured(&[10_000, 20_000]).quantiles(MANIFEST, Time(0)), (MANIFEST, MANIFEST));
    assert_eq!(measured(&[10_000, 20_000, 30_000]).quantiles(MANIFEST, Time(0)), (Span(20_000), Span(30_000)));
}

#[test]
fn a_start_counts_from_its_acceptance() {
    assert_eq!(measured(&[10_000]).finished, [Span(10_000)]);
}

#[test]
fn finished_starts_are_handed_out_once() {
    let mut starts = measured(&[10_000, 12_000]);
    assert_eq!((starts.take_fresh(), starts.take_fresh()), (vec![Span(10_000), Span(12_000)], Vec::new()));
    assert_eq!(starts.finished.len(), 2);
}

#[test]
fn those_there_at_first_wakes_and_strangers_are_not_starts() {
    let mut starts = Starts::default();
    starts.meet(&report(&[("old", Starting, 0), ("warm", Standby, 0)]), Time(0));
    starts
        .meet(&report(&[("old", Ready, 9_000), ("stranger", Starting, 9_000), ("warm", Starting, 9_000)]), Time(9_000));
    starts.meet(&report(&[("old", Ready, 9_000), ("stranger", Ready, 12_000), ("warm", Ready, 11_000)]), Time(12_000));
    assert_eq!((starts.finished.len(), starts.wakes.clone()), (0, VecDeque::from([Span(2_000)])));
}

#[test]
fn an_unfinished_start_counts_as_lasting_at_least_so_long() {
    let mut starts = measured(&[10_000, 10_000, 10_000]);
    starts.ordered(Time(100_000), 1, 4);
    starts.meet(&report(&[("late", Starting, 100_000)]), Time(100_000));
    assert_eq!(starts.quantiles(MANIFEST, Time(105_000)).1, Span(10_000));
    // Past its limit it stays at the limit, and stuck.
    assert_eq!(starts.quantiles(MANIFEST, Time(200_000)).1, Span(20_000));
    let expected = starts.expected(MANIFEST, Time(200_000));
    assert_eq!((expected.starting, expected.stuck, expected.arriving), (0, 1, 0));
}

#[test]
fn expectations_move_on_as_they_pass() {
    let mut starts = measured(&[10_000, 10_000, 14_000]);
    starts.ordered(Time(100_000), 1, 4);
    starts.meet(&report(&[("new", Starting, 100_000)]), Time(100_000));
    let at = |now: u64| starts.expected(MANIFEST, Time(now)).ready_at;
    assert_eq!(
        (at(101_000), at(111_000), at(115_000)),
        (vec![Time(110_000)], vec![Time(114_000)], vec![Time(128_000)])
    );
}

/// What the target says: so many desired, and those replicas.
fn told(at: u64, desired: u32, replicas: &[(&str, ReplicaState, u64)]) -> PoolReport {
    PoolReport { at: Time(at), desired, ..report(replicas) }
}

#[test]
fn an_increase_that_the_target_does_not_know_of_awaits_nothing() {
    // A target without GPUs says yes to each order, and goes on saying that it should have two.
    let mut starts = Starts::default();
    let two = [("r1", Ready, 0), ("r2", Ready, 0)];
    for second in 0..40 {
        starts.meet(&told(second * 5_000, 2, &two), Time(second * 5_000));
        starts.ordered(Time(second * 5_000), 3, 5);
    }
    assert_eq!(starts.expected(MANIFEST, Time(196_000)).arriving, 3);
    // There are some at last: they count from the order that it took.
    let five = |state, since| [two[0], two[1], ("r3", state, since), ("r4", state, since), ("r5", state, since)];
    starts.meet(&told(200_000, 5, &five(Starting, 196_000)), Time(200_000));
    starts.meet(&told(205_000, 5, &five(Ready, 205_000)), Time(205_000));
    assert_eq!((starts.finished.clone(), starts.awaited.len()), (VecDeque::from([Span(10_000); 3]), 0));
}

#[test]
fn what_is_taken_back_elsewhere_is_not_awaited() {
    let mut starts = Starts::default();
    starts.meet(&told(0, 1, &[]), Time(0));
    starts.ordered(Time(1_000), 4, 5);
    // A report from before the order says nothing about it.
    starts.meet(&told(500, 1, &[]), Time(1_500));
    assert_eq!(starts.expected(MANIFEST, Time(2_000)).arriving, 4);
    starts.meet(&told(5_000, 5, &[("a", Starting, 5_000)]), Time(5_000));
    starts.meet(&told(10_000, 3, &[("a", Starting, 5_000)]), Time(10_000));
    assert_eq!(starts.expected(MANIFEST, Time(10_000)).arriving, 2);
}

#[test]
fn an_increase_that_never_shows_up_claims_no_later_start() {
    let mut starts = Starts::default();
    starts.meet(&told(0, 3, &[]), Time(0));
    starts.ordered(Time(0), 2, 3);
    starts.expire(MANIFEST, Time(360_001));
    starts.meet(&told(360_001, 3, &[("late", Starting, 360_000)]), Time(360_001));
    starts.meet(&told(400_000, 3, &[("late", Ready, 400_000)]), Time(400_000));
    assert!(starts.finished.is_empty() && starts.awaited.is_empty());
}

#[test]
fn what_was_kept_by_an_earlier_daemon_loads() {
    let kept: Starts = serde_json::from_str(r#"{"awaited": [[1000, 2]]}"#).unwrap();
    assert_eq!(kept.awaited, [Claim(Time(1_000), 2, 0)]);
    let again: Starts = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
    assert_eq!(again, kept);
}
