//! Every invariant is seen to be broken once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::command::Standing;
use crate::decision::PoolGrant;
use crate::guardrails::Zero;
use crate::time::{Span, Time};

const ALL: Grant = Grant { pools: Vec::new() };

fn counts(serving: u32) -> Counts {
    Counts { serving, standby: 0 }
}

/// A pool of four with nothing against it, changed by `set`.
fn found(set: impl FnOnce(&mut Case<'_>), to: Counts, grant: &Grant, paused: bool) -> Vec<Violation> {
    let (changes, waits_for) = (VecDeque::new(), BTreeSet::new());
    let mut case = Case {
        now: Time(1_000_000),
        pool: "default",
        group: None,
        min: 1,
        max: 8,
        zero: None,
        present: counts(4),
        reported: true,
        can_standby: false,
        rolling_out: false,
        arriving: 0,
        order: None,
        awake: None,
        hold: None,
        doubt: None,
        last_up: None,
        cooldown: Span::seconds(300),
        changes: &changes,
        up: None,
        down: Rate { max_step: Step::Percent(100), per: Span::seconds(60) },
        waits_for: &waits_for,
    };
    set(&mut case);
    pool(&case, to, grant, paused)
}

#[test]
fn a_sound_decision_breaks_nothing() {
    assert_eq!(found(|_| {}, counts(8), &ALL, false), []);
    assert_eq!(found(|_| {}, counts(1), &ALL, false), []);
    // Outside the bounds, but nearer.
    assert_eq!(found(|c| c.max = 2, counts(3), &ALL, false), []);
}

#[test]
fn each_invariant_can_be_broken() {
    assert_eq!(found(|_| {}, counts(5), &ALL, true), [Violation::Paused]);
    assert_eq!(found(|c| c.reported = false, counts(5), &ALL, false), [Violation::Unreported]);
    assert_eq!(found(|_| {}, counts(9), &ALL, false), [Violation::Bounds]);
    assert_eq!(found(|c| c.min = 3, counts(2), &ALL, false), [Violation::Bounds]);
    assert_eq!(found(|c| c.min = 0, counts(0), &ALL, false), [Violation::Zero]);
    assert_eq!(found(|_| {}, Counts { serving: 4, standby: 1 }, &ALL, false), [Violation::Standby]);
    assert_eq!(found(|c| c.rolling_out = true, counts(3), &ALL, false), [Violation::Rollout]);
    assert_eq!(found(|c| c.doubt = Some("stale".to_owned()), counts(3), &ALL, false), [Violation::Stale]);
    assert_eq!(found(|c| c.last_up = Some(Time(900_000)), counts(3), &ALL, false), [Violation::Cooldown]);
    let grant = Grant { pools: vec![PoolGrant { pool: "default".to_owned(), replicas: Some(5), why: String::new() }] };
    assert_eq!(found(|_| {}, counts(6), &grant, false), [Violation::Budget]);
}

#[test]
fn standby_that_goes_is_a_decrease_unless_a_bound_takes_it() {
    let with_standby = |c: &mut Case<'_>| (c.can_standby, c.present) = (true, Counts { serving: 4, standby: 2 });
    let less = Counts { serving: 4, standby: 1 };
    let broken = |set: &dyn Fn(&mut Case<'_>), to| {
        found(
            |c| {
                with_standby(c);
                set(c);
            },
            to,
            &ALL,
            false,
        )
    };
    assert_eq!(broken(&|_| {}, less), []);
    assert_eq!(broken(&|c| c.rolling_out = true, less), [Violation::Rollout]);
    assert_eq!(broken(&|c| c.doubt = Some("stale".to_owned()), less), [Violation::Stale]);
    assert_eq!(broken(&|c| c.last_up = Some(Time(900_000)), less), [Violation::Cooldown]);
    // What wakes is no decrease, nor is standby that has no room under the bound.
    let doubted = |max: u32| move |c: &mut Case<'_>| (c.doubt, c.max) = (Some("stale".to_owned()), max);
    assert_eq!(broken(&doubted(8), Counts { serving: 5, standby: 1 }), []);
    assert_eq!(broken(&doubted(5), Counts { serving: 5, standby: 0 }), []);
    assert_eq!(broken(&doubted(5), Counts { serving: 4, standby: 0 }), [Violation::Stale]);
}

#[test]
fn the_rate_counts_every_move_in_its_window() {
    let change = |at: u64, from, to| Change {
        decision: String::new(),
        at: Time(at),
        from,
        to,
        standby_from: 0,
        standby_to: 0,
        accepted: true,
        unanswered: false,
    };
    let recent = VecDeque::from([change(960_000, 5, 4)]);
    let down = Rate { max_step: Step::Count(1), per: Span::seconds(60) };
    let set = |c: &mut Case<'_>| c.down = down;
    assert_eq!(found(set, counts(3), &ALL, false), []);
    let (waits_for, order) = (BTreeSet::new(), None);
    let case = Case {
        now: Time(1_000_000),
        pool: "default",
        group: None,
        min: 1,
        max: 8,
        zero: Some(Zero { after: Span(0), idle: None }),
        present: counts(4),
        reported: true,
        can_standby: false,
        rolling_out: false,
        arriving: 0,
        order,
        awake: None,
        hold: None,
        doubt: None,
        last_up: None,
        cooldown: Span(0),
        changes: &recent,
        up: None,
        down,
        waits_for: &waits_for,
    };
    assert_eq!(pool(&case, counts(3), &ALL, false), [Violation::Rate]);
    let standing = Standing { since: Time(0), until: Time(0), reason: String::new(), pools: BTreeMap::new() };
    let ordered = Case { order: Some((3, &standing)), ..case };
    assert_eq!(pool(&ordered, counts(3), &ALL, false), []);
}
