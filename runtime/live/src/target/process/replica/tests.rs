#![allow(clippy::unwrap_used)] // a test may fail

use std::collections::BTreeMap;

use super::super::adopt::Trace;
use super::*;
use crate::target::{DrainSpec, ReadySpec};

const NOW: Time = Time(1_000_000);

fn spec() -> ProcessSpec {
    ProcessSpec {
        command: vec!["true".into()],
        ports: 1..=2,
        env: BTreeMap::new(),
        working_dir: None,
        ready: ReadySpec { http_get: "/".into(), timeout: Span::seconds(60) },
        drain: DrainSpec { grace: Span::seconds(5), timeout: Span::seconds(120) },
        standby: None,
    }
}

fn replica(goal: Goal, phase: Phase) -> Replica {
    Replica::new(Kept {
        token: "t".into(),
        pool: "a/b/c".into(),
        name: "r-1".into(),
        port: 1,
        command: Vec::new(),
        created: NOW,
        nth: 1,
        process: Some(Identity { pid: 2, start: 3, boot: "b".into() }),
        goal,
        phase,
        entered: NOW,
        since: NOW,
        restarting: false,
        unwell: false,
        deaths: Vec::new(),
        tries: 0,
        given_up: false,
    })
}

/// What comes next once it has moved on as far as it can.
fn next(replica: &mut Replica, now: Time) -> Next {
    for _ in 0..10 {
        match replica.next(&spec(), now) {
            Next::Again => {}
            next => return next,
        }
    }
    panic!("it goes round: {replica:?}");
}

fn end(how: &str) -> End {
    End { how: how.into(), output: String::new() }
}

fn seconds(n: u64) -> Time {
    NOW + Span::seconds(n)
}

#[test]
fn back_off_doubles_up_to_half_a_minute() {
    let waits: Vec<u64> = (1..=9).map(|tries| back_off(tries).0).collect();
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    assert_eq!(back_off(u32::MAX), LONGEST);
}

#[test]
fn a_failed_replica_gets_one_try_until_it_was_ready() {
    let mut replica = replica(Goal::Serve, Phase::Ready);
    for (at, wait) in [(0, 500), (1, 1000)] {
        replica.died(&end("gone"), seconds(at));
        assert_eq!(next(&mut replica, seconds(at)), Next::Wait(Some(seconds(at) + Span(wait))));
        assert_eq!(replica.state(), ReplicaState::Starting);
    }
    replica.died(&end("gone"), seconds(10));
    assert_eq!(replica.state(), ReplicaState::Failed);
    assert_eq!(next(&mut replica, seconds(10)), Next::Wait(Some(seconds(310))));
    assert_eq!(next(&mut replica, seconds(310)), Next::Port);
    replica.restart(2, Vec::new(), seconds(310));
    assert_eq!(next(&mut replica, seconds(310)), Next::Do(Job::Spawn));
    replica.died(&end("gone"), seconds(311));
    assert_eq!(next(&mut replica, seconds(311)), Next::Wait(Some(seconds(611))), "one try");
    replica.restart(2, Vec::new(), seconds(611));
    replica.spawned(Identity { pid: 2, start: 4, boot: "b".into() }, seconds(611));
    replica.answered(seconds(612));
    assert_eq!((replica.state(), replica.trouble.clone()), (ReplicaState::Ready, None));
    replica.died(&end("gone"), seconds(1000));
    assert_eq!(next(&mut replica, seconds(1000)), Next::Wait(Some(seconds(1000) + Span(500))));
}

#[test]
fn what_a_dead_process_left_is_waited_for_and_the_death_has_its_own_reason() {
    let mut replica = replica(Goal::Serve, Phase::Ready);
    replica.trouble = Some("of long ago".into());
    replica.first_ended(NOW);
    assert_eq!((replica.state(), replica.answers()), (ReplicaState::Starting, false));
    assert_eq!(next(&mut replica, NOW), Next::Wait(Some(seconds(10))), "it was asked to end already");
    assert_eq!(next(&mut replica, seconds(10)), Next::Do(Job::Kill));
    replica.died(&end("exited with status 1"), seconds(11));
    assert_eq!(next(&mut replica, seconds(11)), Next::Wait(Some(seconds(11) + Span(500))));
    assert_eq!(replica.trouble.as_deref(), Some("exited with status 1, started again in 500ms"));
    // One that was ended for a reason keeps that.
    replica.give_up("was not ready".into(), seconds(12));
    replica.first_ended(seconds(12));
    replica.died(&end("was ended by signal 15"), seconds(13));
    assert!(replica.trouble.as_ref().unwrap().starts_with("was not ready"));
}

#[test]
fn deaths_far_apart_do_not_add_up() {
    let mut replica = replica(Goal::Serve, Phase::Ready);
    for n in 0..10 {
        replica.died(&end("gone"), seconds(n * 160));
        assert_ne!(replica.state(), ReplicaState::Failed);
        replica.restart(2, Vec::new(), seconds(n * 160 + 30));
    }
    assert!(replica.kept.deaths.len() <= DEATHS);
    assert_eq!(replica.kept.tries, 10);
}

#[test]
fn term_then_kill_then_kill_again() {
    let mut replica = replica(Goal::End, Phase::Starting);
    assert_eq!(next(&mut replica, NOW), Next::Do(Job::Term));
    assert_eq!(next(&mut replica, NOW), Next::Wait(Some(seconds(10))));
    assert_eq!(next(&mut replica, seconds(10)), Next::Do(Job::Kill));
    assert_eq!(next(&mut replica, seconds(10)), Next::Wait(Some(seconds(20))));
    assert_eq!(next(&mut replica, seconds(20)), Next::Do(Job::Kill));
    replica.died(&end("gone"), seconds(21));
    assert_eq!(next(&mut replica, seconds(21)), Next::Gone);
}

#[test]
fn a_drain_ends_after_two_readings_without_work_the_second_after_the_grace() {
    type Readings = &'static [(u64, f64)];
    let cases: &[(Readings, Option<u64>)] = &[
        (&[(1, 0.0), (4, 0.0), (6, 0.0)], Some(6)),
        (&[(6, 0.0), (7, 0.0)], Some(7)),
        (&[(6, 0.0), (7, 1.0), (8, 0.0), (9, 0.0)], Some(9)),
        (&[(1, 0.0), (6, 2.0), (7, 0.0)], None),
        (&[(6, 0.0), (6, 0.0)], None),
        (&[(6, 0.0), (7, f64::NAN)], None),
    ];
    for (readings, ends) in cases {
        let mut replica = replica(Goal::End, Phase::Ready);
        assert_eq!(next(&mut replica, NOW), Next::Wait(Some(seconds(120))));
        let mut ended = None;
        for (at, work) in *readings {
            replica.note_work(*work, seconds(*at), &spec());
            if next(&mut replica, seconds(*at)) == Next::Do(Job::Term) {
                ended = Some(*at);
            }
        }
        assert_eq!(ended, *ends, "{readings:?}");
        if ended.is_none() {
            assert_eq!(next(&mut replica, seconds(120)), Next::Do(Job::Term), "the time-out");
        }
    }
}

#[test]
fn a_call_that_fails_three_times_costs_the_process() {
    let mut replica = replica(Goal::Serve, Phase::Standby);
    for wait in [500, 1000] {
        let now = replica.call_again.max(NOW);
        assert_eq!(next(&mut replica, now), Next::Do(Job::Leave));
        assert_eq!(next(&mut replica, now), Next::Wait(None));
        replica.called(Err("POST /wake_up: answered 500".into()), now);
        assert_eq!(next(&mut replica, now), Next::Wait(Some(now + Span(wait))));
        assert!(replica.trouble.as_ref().unwrap().contains("answered 500; tried again in"));
    }
    let now = replica.call_again;
    assert_eq!(next(&mut replica, now), Next::Do(Job::Leave));
    replica.called(Err("POST /wake_up: answered 500".into()), now);
    assert_eq!(next(&mut replica, now), Next::Do(Job::Term));
    replica.died(&end("was ended by signal 15"), now);
    assert!(replica.trouble.as_ref().unwrap().contains("answered 500, 3 times in a row, started again in 500ms"));
    assert!(replica.report().restarting);
}

#[test]
fn a_change_of_mind_waits_for_the_call_under_way() {
    let mut replica = replica(Goal::Standby, Phase::Entering);
    assert_eq!(next(&mut replica, NOW), Next::Do(Job::Enter));
    let ticket = replica.ticket;
    replica.kept.goal = Goal::Serve;
    assert_eq!(next(&mut replica, NOW), Next::Wait(None));
    assert!(replica.awaits(ticket));
    replica.called(Ok(()), seconds(1));
    assert_eq!(next(&mut replica, seconds(1)), Next::Do(Job::Leave));
    assert!(!replica.awaits(ticket), "what comes of the first does not count any more");
    replica.called(Ok(()), seconds(2));
    assert_eq!(next(&mut replica, seconds(2)), Next::Do(Job::Probe));
    assert_eq!(replica.state(), ReplicaState::Starting);
    replica.answered(seconds(3));
    assert_eq!((replica.state(), replica.kept.restarting), (ReplicaState::Ready, false));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    use ReplicaState::{Draining, Ready, Standby, Starting};
    let process = Trace::Runs(Identity { pid: 2, start: 3, boot: "b".into() });
    let later = seconds(1000);
    let taken_up = |goal, phase, trace: &Trace, rebooted| {
        let mut replica = replica(goal, phase);
        replica.resume(trace.clone(), rebooted, &spec(), later);
        (next(&mut replica, later), replica.state(), replica.kept.deaths.len())
    };
    let wait = Next::Wait(None);
    for (goal, phase, expected) in [
        (Goal::Serve, Phase::Ready, (wait, Ready, 0)),
        (Goal::Standby, Phase::Standby, (wait, Standby, 0)),
        (Goal::Standby, Phase::Entering, (Next::Do(Job::Enter), Draining, 0)),
        (Goal::Serve, Phase::Leaving, (Next::Do(Job::Leave), Starting, 0)),
        (Goal::Serve, Phase::Starting, (Next::Do(Job::Probe), Starting, 0)),
        (Goal::End, Phase::Draining, (Next::Do(Job::Term), Draining, 0)),
        (Goal::End, Phase::Ending, (Next::Do(Job::Kill), Draining, 0)),
    ] {
        assert_eq!(taken_up(goal, phase, &process, false), expected, "{goal:?} {phase:?}");
    }
    let back_off = Next::Wait(Some(later + Span(500)));
    for (goal, phase, rebooted, expected) in [
        (Goal::Serve, Phase::Ready, false, (back_off, Starting, 1)),
        (Goal::Serve, Phase::Ready, true, (Next::Port, Starting, 0)),
        (Goal::Serve, Phase::Intended, false, (Next::Port, Starting, 0)),
        (Goal::End, Phase::Ending, false, (Next::Gone, Draining, 0)),
        (Goal::End, Phase::Draining, true, (Next::Gone, Draining, 0)),
    ] {
        assert_eq!(taken_up(goal, phase, &Trace::Nothing, rebooted), expected, "{goal:?} {phase:?} {rebooted}");
    }
    // One that was started later than was recorded is asked, whatever was recorded.
    let process = Identity { pid: 4, start: 5, boot: "b".into() };
    let started = Trace::Later { process, port: 2, nth: 2 };
    for (goal, phase, expected) in [
        (Goal::Serve, Phase::Intended, (Next::Do(Job::Probe), Starting, 0)),
        (Goal::Serve, Phase::Ready, (Next::Do(Job::Probe), Starting, 0)),
        (Goal::Serve, Phase::Failed { until: later }, (Next::Do(Job::Probe), Starting, 0)),
        (Goal::Standby, Phase::Standby, (Next::Do(Job::Probe), Draining, 0)),
        (Goal::End, Phase::Ending, (Next::Do(Job::Term), Draining, 0)),
    ] {
        assert_eq!(taken_up(goal, phase, &started, false), expected, "{goal:?} {phase:?}");
    }
    // What it left is asked to end, and ended at once where that was asked of it long ago.
    let sweep = Next::Wait(Some(later + TERM_PATIENCE));
    for (goal, phase, expected) in [
        (Goal::Serve, Phase::Ready, (sweep, Starting, 0)),
        (Goal::Serve, Phase::Intended, (sweep, Starting, 0)),
        (Goal::Serve, Phase::Failed { until: later }, (sweep, Starting, 0)),
        (Goal::Standby, Phase::Standby, (sweep, Draining, 0)),
        (Goal::End, Phase::Draining, (sweep, Draining, 0)),
        (Goal::End, Phase::Ending, (Next::Do(Job::Kill), Draining, 0)),
    ] {
        assert_eq!(taken_up(goal, phase, &Trace::Leftovers, false), expected, "{goal:?} {phase:?}");
    }
}
