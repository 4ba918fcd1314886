//! Start-up times: who is counted, who is not.

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
        starts.ordered(Time(0), 1);
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
    starts.ordered(Time(100_000), 1);
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
    starts.ordered(Time(100_000), 1);
    starts.meet(&report(&[("new", Starting, 100_000)]), Time(100_000));
    let at = |now: u64| starts.expected(MANIFEST, Time(now)).ready_at;
    assert_eq!(
        (at(101_000), at(111_000), at(115_000)),
        (vec![Time(110_000)], vec![Time(114_000)], vec![Time(128_000)])
    );
}
