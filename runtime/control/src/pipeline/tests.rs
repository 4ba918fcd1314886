//! States over swaps, and answers that are none.

use super::memory::{CONFIRMED, Memory};
use super::*;

fn observation(pools: &[&str]) -> Observation {
    let config = |name: &str| crate::policy::Pool {
        name: name.to_owned(),
        min: 1,
        max: 4,
        desired: 1,
        ready: 1,
        starting: 0,
        draining: 0,
        standby: 0,
        headroom: 0,
        ready_at: Vec::new(),
        obtainable: None,
        facts: Vec::new(),
        attributes: Vec::new(),
    };
    Observation {
        now: crate::time::Time(0),
        interval: Span(5_000),
        workload: "chat".to_owned(),
        pools: pools.iter().map(|p| config(p)).collect(),
        series: Vec::new(),
        proposed: Vec::new(),
        facts: Vec::new(),
        attributes: Vec::new(),
    }
}

fn answer(names: &[&str], state: usize) -> Answer {
    let target = |name: &&str| Target { pool: (*name).to_owned(), tier: Tier::Serving, replicas: u32::MAX };
    Answer { targets: names.iter().map(target).collect(), state: Some(vec![0; state]), ..Answer::default() }
}

#[test]
fn unknown_and_repeated_targets_are_no_answer() {
    let seen = observation(&["a", "b"]);
    let code = |a: &Answer| validate(a, &seen).err().map(|f| f.code);
    assert_eq!(code(&answer(&["a", "b"], 0)), None);
    assert_eq!(code(&answer(&["c"], 0)).as_deref(), Some("bad-answer"));
    assert_eq!(code(&answer(&["a", "a"], 0)).as_deref(), Some("bad-answer"));
    assert_eq!(code(&answer(&["a"], MAX_STATE + 1)).as_deref(), Some("state-too-large"));
}

#[test]
fn merging_is_per_pool_and_tier() {
    for (how, expected) in [(Combine::Replace, 3), (Combine::Max, 5), (Combine::Min, 3)] {
        let mut so_far: Vec<Target> = targets("a", [5, 2, 0]).collect();
        combine(&mut so_far, &[Target { pool: "a".to_owned(), tier: Tier::Serving, replicas: 3 }], how);
        assert_eq!(so_far.iter().map(|t| t.replicas).collect::<Vec<_>>(), [expected, 2, 0]);
    }
}

#[test]
fn a_state_of_another_version_is_not_passed_and_gone_after_an_answer() {
    let mut memory = Memory::default();
    memory.swap("one");
    memory.commit("p", 1, Some(vec![7]));
    memory.swap("two");
    assert_eq!(memory.for_module("p", 1), (&[7][..], None));
    let (state, why) = memory.for_module("p", 2);
    assert!(state.is_empty() && why.is_some_and(|why| why.starts_with("state of version 1 is not passed")));
    memory.commit("p", 2, None);
    assert_eq!(memory.for_module("p", 2), (&[][..], None));
}

#[test]
fn a_state_of_another_policy_is_not_passed_and_waits_for_its_own() {
    let mut memory = Memory::default();
    memory.swap("one");
    memory.commit("p", 1, Some(vec![7]));
    memory.swap("two");
    let (state, why) = memory.for_module("q", 1);
    assert!(state.is_empty() && why.is_some_and(|why| why.starts_with("state of policy p is not passed to q")));
    assert_eq!(memory.for_module("p", 1), (&[7][..], None));
    memory.commit("q", 1, None);
    assert_eq!(memory.for_module("p", 1), (&[][..], None));
}

#[test]
fn a_state_that_was_called_bad_is_not_passed_again() {
    let mut memory = Memory::default();
    memory.swap("one");
    memory.commit("p", 1, Some(vec![7]));
    memory.refuse();
    assert!(memory.for_module("p", 1).0.is_empty());
    // Another module may be able to read it.
    let mut swapped = memory.clone();
    swapped.swap("two");
    assert_eq!(swapped.for_module("p", 1), (&[7][..], None));
    memory.commit("p", 1, None);
    assert_eq!(memory.for_module("p", 1), (&[][..], None));
}

#[test]
fn the_state_before_is_kept_until_the_new_module_is_confirmed() {
    let mut memory = Memory::default();
    memory.swap("one");
    memory.commit("p", 1, Some(vec![1]));
    memory.swap("two");
    memory.commit("p", 1, Some(vec![2]));
    let mut back = memory.clone();
    assert!(back.restore_previous());
    assert_eq!(back.for_module("p", 1).0, [1]);
    for _ in 0..CONFIRMED {
        memory.commit("p", 1, None);
    }
    assert!(!memory.restore_previous());
    assert_eq!(memory.for_module("p", 1).0, [2]);
}
