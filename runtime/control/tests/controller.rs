//! The controller over many ticks: modules come and go, outcomes return, a process ends and another goes on.
//!
//! For: what scenarios cannot say. Policies here are plain functions behind the same seam as the Wasm ones.

#![allow(clippy::unwrap_used)] // a test may fail

use std::sync::Arc;

use trimtab_control::config::{
    Combine, Guardrails, Module, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WorkloadConfig, WorkloadId,
};
use trimtab_control::decision::{Decision, Outcome, OutcomeState, Rule};
use trimtab_control::policy::{Answer, Call, Fault, Observation, Policy, Preparation, Target, Tier};
use trimtab_control::sample::{Intake, PoolReport};
use trimtab_control::status::{ConditionType, StageState};
use trimtab_control::time::{Span, Time};
use trimtab_control::{Arbiter, Controller, Slot};

/// Counts its calls in its state, and proposes what `propose` makes of the count.
struct Counting(fn(u32) -> Option<u32>);

impl Policy for Counting {
    fn decide(&self, _config: &str, _observation: &Observation, state: &[u8]) -> Call {
        let calls = state.len() as u32 + 1;
        let answer = match (self.0)(calls) {
            None => Err(Fault { code: "trap".to_owned(), message: "as told".to_owned() }),
            Some(replicas) => Ok(Answer {
                targets: vec![Target { pool: "default".to_owned(), tier: Tier::Serving, replicas }],
                reason: format!("call {calls}"),
                state: Some(vec![0; calls as usize]),
                ..Answer::default()
            }),
        };
        Call { answer, log: Vec::new(), bounds: Vec::new() }
    }
}

#[allow(clippy::unnecessary_wraps)] // as `install` takes it
fn module(propose: fn(u32) -> Option<u32>, digest: &str, state_version: u32) -> Result<Module, Fault> {
    let policy = Arc::new(Counting(propose));
    Ok(Module { policy, digest: digest.to_owned(), preparation: Preparation::default(), state_version })
}

fn config(on_failure: OnFailure) -> WorkloadConfig {
    let module = ModuleRef { policy: "counting".to_owned(), config: "{}".to_owned(), digest: None };
    WorkloadConfig {
        id: WorkloadId { namespace: "default".to_owned(), name: "chat".to_owned() },
        generation: 3,
        interval: Span(5_000),
        attributes: Vec::new(),
        pools: vec![PoolConfig {
            name: "default".to_owned(),
            group: None,
            min: 1,
            max: 100,
            zero: None,
            gpus_per_replica: 1,
            price_per_hour: None,
            startup: Span(10_000),
            attributes: Vec::new(),
        }],
        stages: vec![StageConfig {
            name: "count".to_owned(),
            module,
            combine: Combine::Replace,
            on_failure,
            shadow: None,
        }],
        guardrails: Guardrails {
            stale_after: None,
            min_coverage: 0.9,
            silent_after: None,
            scale_up: None,
            scale_down: Rate { max_step: Step::Percent(100), per: Span(1_000) },
            cooldown: Span(60_000),
        },
    }
}

/// One tick on a target that is at `desired`; the outcome of what was asked is `state`.
fn tick(controller: &mut Controller, desired: u32, state: OutcomeState, now: u64) -> Decision {
    let decision = ask(controller, desired, now);
    for action in decision.actions() {
        let outcome = Outcome { decision: action.decision, pool: action.pool, state, message: String::new() };
        controller.record(outcome, Time(now));
    }
    decision
}

/// One tick on a target that is at `desired`, and says nothing more.
fn ask(controller: &mut Controller, desired: u32, now: u64) -> Decision {
    let now = Time(now);
    let report = PoolReport {
        pool: Arc::from("default"),
        at: now,
        desired,
        standby: 0,
        can_standby: false,
        rolling_out: false,
        replicas: Vec::new(),
    };
    controller.observe(Intake { samples: Vec::new(), pools: vec![report], utc_offset_minutes: 60 }, now);
    let wants = controller.propose(now);
    controller.decide(&Arbiter::new().grant(&controller.config().id.clone(), &wants), now)
}

#[test]
fn a_refused_module_leaves_the_last_good_one_serving() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    controller.install("count", Slot::Stage, module(|_| Some(4), "sha256:a", 1), Time(0));
    let refused = Fault { code: "bad-import".to_owned(), message: "no".to_owned() };
    controller.install("count", Slot::Stage, Err(refused), Time(0));
    let decision = tick(&mut controller, 1, OutcomeState::Applied, 1_000);
    assert_eq!((decision.pools[0].to, decision.stages[0].digest.as_str()), (4, "sha256:a"));
    let status = controller.status(Time(1_000));
    assert_eq!(
        (status.policies[0].state, status.policies[0].message.as_str()),
        (StageState::LastGood, "bad-import: no")
    );
}

#[test]
fn a_stage_without_a_module_never_goes_down() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    let decision = tick(&mut controller, 5, OutcomeState::Applied, 1_000);
    assert_eq!((decision.pools[0].to, decision.stages[0].error.as_ref().unwrap().code.as_str()), (5, "not-loaded"));
}

#[test]
fn a_fallback_answers_with_a_state_of_its_own() {
    let fallback = ModuleRef { policy: "plan-b".to_owned(), config: "{}".to_owned(), digest: None };
    let mut controller = Controller::new(config(OnFailure::Fallback(Box::new(fallback))), None, Time(0));
    controller.install("count", Slot::Stage, module(|calls| (calls < 3).then_some(9), "sha256:a", 1), Time(0));
    controller.install("count", Slot::Fallback, module(|calls| Some(10 + calls), "sha256:b", 1), Time(0));
    let decisions: Vec<Decision> =
        (1..5).map(|n| tick(&mut controller, 1, OutcomeState::Observed, n * 5_000)).collect();
    let last = &decisions[3];
    assert_eq!(decisions.iter().map(|d| d.pools[0].to).collect::<Vec<_>>(), [9, 9, 11, 12]);
    assert_eq!((last.stages[0].policy.as_str(), last.stages[0].error.is_some()), ("plan-b", true));
    assert_eq!(controller.save().states.len(), 2);
}

#[test]
fn a_state_outlives_the_process_and_another_version_starts_empty_and_says_so() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    controller.install("count", Slot::Stage, module(|calls| Some(10 + calls), "sha256:a", 1), Time(0));
    tick(&mut controller, 1, OutcomeState::Observed, 5_000);
    let mut controller = Controller::new(config(OnFailure::NoDown), Some(controller.save()), Time(6_000));
    controller.install("count", Slot::Stage, module(|calls| Some(10 + calls), "sha256:a", 1), Time(6_000));
    assert_eq!(tick(&mut controller, 1, OutcomeState::Observed, 10_000).pools[0].to, 12);
    controller.install("count", Slot::Stage, module(|calls| Some(20 + calls), "sha256:b", 2), Time(11_000));
    let decision = tick(&mut controller, 1, OutcomeState::Observed, 15_000);
    assert_eq!((decision.pools[0].to, decision.stages[0].log.len()), (21, 1));
    assert!(controller.restore_previous_state("count", Slot::Stage));
}

/// The same stage with another policy behind it.
fn renamed(policy: &str) -> WorkloadConfig {
    let mut config = config(OnFailure::NoDown);
    policy.clone_into(&mut config.stages[0].module.policy);
    config
}

#[test]
fn a_stage_that_changes_its_policy_starts_empty_and_its_own_policy_finds_its_state() {
    let mut controller = Controller::new(renamed("one"), None, Time(0));
    controller.install("count", Slot::Stage, module(|calls| Some(10 + calls), "sha256:a", 1), Time(0));
    tick(&mut controller, 1, OutcomeState::Observed, 5_000);
    // The probe for a configuration that is not in force yet, and for the one that is.
    assert!(controller.state("count", Slot::Stage, "two", 1).is_empty());
    assert_eq!(controller.state("count", Slot::Stage, "one", 1).len(), 1);
    controller.reconfigure(renamed("two"), Time(6_000));
    controller.install("count", Slot::Stage, module(|calls| Some(20 + calls), "sha256:b", 1), Time(6_000));
    // Over a restart before its first answer, too.
    let saved = serde_json::to_string(&controller.save()).unwrap();
    let mut controller = Controller::new(renamed("two"), Some(serde_json::from_str(&saved).unwrap()), Time(7_000));
    controller.install("count", Slot::Stage, module(|calls| Some(20 + calls), "sha256:b", 1), Time(7_000));
    assert!(controller.state("count", Slot::Stage, "two", 1).is_empty());
    let decision = tick(&mut controller, 1, OutcomeState::Observed, 10_000);
    assert_eq!((decision.pools[0].to, decision.stages[0].log.len()), (21, 1), "{:?}", decision.stages[0]);
    assert_eq!(tick(&mut controller, 1, OutcomeState::Observed, 15_000).pools[0].to, 22);
}

/// Calls every state but its own bad.
struct Picky;

impl Policy for Picky {
    fn decide(&self, _config: &str, _observation: &Observation, state: &[u8]) -> Call {
        let answer = match state {
            [] | [7] => Ok(Answer { state: Some(vec![7]), ..Answer::default() }),
            _ => Err(Fault { code: "bad-state".to_owned(), message: "not mine".to_owned() }),
        };
        Call { answer, log: Vec::new(), bounds: Vec::new() }
    }
}

#[test]
fn a_state_that_a_policy_calls_bad_is_not_given_to_it_for_ever() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    controller.install("count", Slot::Stage, module(|calls| Some(10 + calls), "sha256:a", 1), Time(0));
    tick(&mut controller, 1, OutcomeState::Observed, 5_000);
    // As an earlier daemon kept it: who wrote it is not known.
    let mut saved = controller.save();
    saved.facts.writers.clear();
    let mut controller = Controller::new(config(OnFailure::NoDown), Some(saved), Time(6_000));
    let (policy, preparation) = (Arc::new(Picky), Preparation::default());
    let picky = Module { policy, digest: "sha256:b".to_owned(), preparation, state_version: 1 };
    controller.install("count", Slot::Stage, Ok(picky), Time(6_000));
    let stage = |decision: Decision| decision.stages[0].clone();
    let failed = stage(tick(&mut controller, 1, OutcomeState::Observed, 10_000));
    assert_eq!(failed.error.map(|fault| fault.code).as_deref(), Some("bad-state"));
    let again = stage(tick(&mut controller, 1, OutcomeState::Observed, 15_000));
    assert_eq!((again.error, again.log.len()), (None, 1));
    let after = stage(tick(&mut controller, 1, OutcomeState::Observed, 20_000));
    assert_eq!((after.error, after.log.len()), (None, 0));
}

#[test]
fn what_the_target_took_or_may_have_taken_starts_a_cooldown() {
    for (state, down) in [
        (OutcomeState::Applied, 6),
        (OutcomeState::Failed, 2),
        (OutcomeState::Refused, 1),
        (OutcomeState::Superseded, 1),
        (OutcomeState::Dropped, 1),
        (OutcomeState::Observed, 1),
    ] {
        let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
        controller.install("count", Slot::Stage, module(|n| Some(if n == 1 { 6 } else { 1 }), "sha256:a", 1), Time(0));
        tick(&mut controller, 2, state, 5_000);
        let desired = if state == OutcomeState::Applied { 6 } else { 2 };
        let decision = tick(&mut controller, desired, state, 10_000);
        assert_eq!(decision.pools[0].to, down, "{state:?}");
        assert_eq!(decision.guardrails.iter().any(|s| s.rule == Rule::Cooldown && s.from != s.to), down > 1);
    }
}

#[test]
fn what_was_sent_before_a_pool_was_connected_anew_may_have_been_taken() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    controller.install("count", Slot::Stage, module(|n| Some(if n == 1 { 6 } else { 1 }), "sha256:a", 1), Time(0));
    let id = ask(&mut controller, 2, 5_000).id;
    controller.let_go("default");
    let outcome = controller.decisions().next().unwrap().pools[0].outcome.clone().unwrap();
    assert_eq!(outcome.state, OutcomeState::Failed, "{}", outcome.message);
    assert_eq!(ask(&mut controller, 6, 10_000).pools[0].to, 6);
    assert!(controller.decisions().any(|d| d.id == id), "what may have been taken stays told");
}

#[test]
fn twenty_decisions_that_changed_something_and_the_last_are_kept() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    controller.install("count", Slot::Stage, module(|n| Some(n.min(30)), "sha256:a", 1), Time(0));
    let mut desired = 1;
    for n in 1..=50 {
        desired = tick(&mut controller, desired, OutcomeState::Applied, n * 5_000).pools[0].to;
    }
    let kept: Vec<bool> = controller.decisions().map(Decision::changes).collect();
    assert_eq!((kept.len(), kept[0], kept[1..].iter().all(|c| *c)), (21, false, true));
}

#[test]
fn instants_in_the_future_count_as_now() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    controller.install("count", Slot::Stage, module(|n| Some(if n == 1 { 6 } else { 1 }), "sha256:a", 1), Time(0));
    tick(&mut controller, 2, OutcomeState::Applied, 100_000_000);
    let saved = controller.save();
    let mut controller = Controller::new(config(OnFailure::NoDown), Some(saved), Time(5_000));
    controller.install("count", Slot::Stage, module(|_| Some(1), "sha256:a", 1), Time(5_000));
    assert_eq!(tick(&mut controller, 6, OutcomeState::Applied, 10_000).pools[0].to, 6);
    assert_eq!(tick(&mut controller, 6, OutcomeState::Applied, 65_000).pools[0].to, 1);
}

#[test]
fn someone_else_writing_is_a_conflict() {
    let mut controller = Controller::new(config(OnFailure::NoDown), None, Time(0));
    controller.install("count", Slot::Stage, module(|_| Some(4), "sha256:a", 1), Time(0));
    tick(&mut controller, 2, OutcomeState::Applied, 5_000);
    tick(&mut controller, 7, OutcomeState::Failed, 10_000);
    let conditions = controller.status(Time(10_000)).conditions;
    assert!(conditions.iter().any(|c| c.kind == ConditionType::Conflict && c.status));
}
