//! Journals of worlds that no case would think of, computed again.
//!
//! For: the same bytes from every segment's start, with a policy that traps when the machine likes, garbage for samples,
//! swaps, orders and edits at any time; and the open loop. Policies here are plain functions.

#![allow(clippy::unwrap_used)] // a test may fail

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use trimtab_control::command::Command;
use trimtab_control::config::{
    Combine, Guardrails, Module, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WorkloadConfig, WorkloadId,
};
use trimtab_control::decision::{Decision, Outcome, OutcomeState};
use trimtab_control::journal::replay::{Other, Replay, Tick};
use trimtab_control::journal::{Numbers, Part};
use trimtab_control::policy::{Answer, Call, Fault, MetricNeed, Observation, Policy, Preparation, Target, Tier};
use trimtab_control::sample::{Intake, Origin, PoolReport, Reading, Replica, ReplicaState, Sample};
use trimtab_control::time::{Span, Time};
use trimtab_control::{Arbiter, Controller, Slot};

/// One replica for so much load, plus what its state has counted to. Traps whenever the machine says so.
struct Loaded {
    per: f64,
    machine: Option<AtomicU32>,
}

impl Policy for Loaded {
    fn decide(&self, _config: &str, observation: &Observation, state: &[u8]) -> Call {
        if self.machine.as_ref().is_some_and(|m| m.fetch_add(1, Ordering::Relaxed) % 5 == 3) {
            let fault = Fault { code: "trap".to_owned(), message: "the stack ran over here".to_owned() };
            return Call { answer: Err(fault), log: Vec::new(), bounds: Vec::new() };
        }
        let load: f64 = observation.series.iter().filter_map(|s| s.values.last()).filter(|v| v.is_finite()).sum();
        let calls = state.len() as u32 + 1;
        let replicas = (load / self.per).ceil() as u32 + calls % 3;
        let targets = vec![Target { pool: "default".to_owned(), tier: Tier::Serving, replicas }];
        let answer = Answer {
            targets,
            reason: format!("{load} {calls}"),
            state: Some(vec![7; calls as usize % 50]),
            ..Answer::default()
        };
        Call { answer: Ok(answer), log: Vec::new(), bounds: Vec::new() }
    }
}

fn module(digest: &str, per: f64, traps: bool) -> Module {
    let need = |signal: &str, window: u64| MetricNeed {
        signal: signal.to_owned(),
        by: Vec::new(),
        within: String::new(),
        across: String::new(),
        step: Span(5_000),
        window: Span(window),
        required: false,
    };
    let needs = vec![need("queue-depth", 60_000), need("request-rate", 0), need("service-rate", 0)];
    Module {
        policy: Arc::new(Loaded { per, machine: traps.then(AtomicU32::default) }),
        digest: digest.to_owned(),
        preparation: Preparation { needs, attributes: Vec::new() },
        state_version: 1,
    }
}

#[allow(clippy::unnecessary_wraps)] // as a replay asks
fn known(digest: &str) -> Option<Arc<dyn Policy>> {
    let per = [("sha256:a", 4.0), ("sha256:s", 1.0)].iter().find(|(d, _)| *d == digest).map_or(9.0, |(_, per)| *per);
    Some(Arc::new(Loaded { per, machine: None }))
}

fn config(generation: u64) -> WorkloadConfig {
    WorkloadConfig {
        id: WorkloadId { namespace: "default".to_owned(), name: "chat".to_owned() },
        generation,
        interval: Span(5_000),
        attributes: Vec::new(),
        pools: vec![PoolConfig {
            name: "default".to_owned(),
            group: None,
            min: 1,
            max: 20 + generation as u32 % 3,
            zero: None,
            gpus_per_replica: 1,
            price_per_hour: None,
            startup: Span(10_000),
            attributes: Vec::new(),
        }],
        stages: vec![StageConfig {
            name: "steer".to_owned(),
            module: ModuleRef { policy: "loaded".to_owned(), config: "{}".to_owned(), digest: None },
            combine: Combine::Replace,
            on_failure: OnFailure::NoDown,
            shadow: None,
        }],
        guardrails: Guardrails {
            stale_after: None,
            min_coverage: 0.5,
            silent_after: None,
            scale_up: None,
            scale_down: Rate { max_step: Step::Percent(50), per: Span(10_000) },
            cooldown: Span(15_000),
        },
    }
}

#[derive(Debug, Clone)]
struct Event {
    after_ms: u64,
    queue: f64,
    completed: f64,
    mood: u8,
    happens: u8,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let queue = prop_oneof![(0..120_u32).prop_map(f64::from), any::<f64>(), Just(f64::NAN), Just(-0.0)];
    let event = (1_000..9_000_u64, queue, 0..40_u32, 0..8_u8, 0..24_u8).prop_map(
        |(after_ms, queue, completed, mood, happens)| Event {
            after_ms,
            queue,
            completed: f64::from(completed),
            mood,
            happens,
        },
    );
    prop::collection::vec(event, 2..70)
}

/// Snapshot, whether it goes on, and tapes.
type Segments = Vec<(Vec<u8>, bool, Vec<Vec<u8>>)>;

/// `shadowed`: with a shadow that has needs, a state and traps of its own.
fn play(events: &[Event], shadowed: bool) -> (Segments, Vec<Decision>) {
    let config = |generation| {
        let mut config = config(generation);
        config.stages[0].shadow =
            shadowed.then(|| ModuleRef { policy: "shadow".to_owned(), config: "{}".to_owned(), digest: None });
        config
    };
    let mut decisions = Vec::new();
    let mut controller = Controller::new(config(1), None, Time(0));
    let mut segments: Segments = vec![(controller.begin_tape(), false, Vec::new())];
    controller.install("steer", Slot::Stage, Ok(module("sha256:a", 4.0, true)), Time(0));
    if shadowed {
        let mut other = module("sha256:s", 1.0, true);
        let by = |need: MetricNeed| MetricNeed { by: vec!["replica".to_owned()], window: Span(120_000), ..need };
        other.preparation.needs = other.preparation.needs.into_iter().map(by).collect();
        controller.install("steer", Slot::Shadow, Ok(other), Time(0));
    }
    let mut arbiter = Arbiter::new();
    let (mut now, mut desired, mut total) = (Time(1_767_225_600_000), 3_u32, 0.0);
    for event in events {
        now = now + Span(event.after_ms);
        match event.happens {
            0 => controller.reconfigure(config(2 + event.after_ms), now),
            1 => controller.install("steer", Slot::Stage, Ok(module("sha256:b", 9.0, true)), now),
            2 => controller.install("steer", Slot::Stage, Ok(module("sha256:a", 4.0, true)), now),
            3 => drop(controller.restore_previous_state("steer", Slot::Stage)),
            4 => {
                let pools = [("default".to_owned(), 7)].into();
                let order = Command::Override { pools, lasting: Span(20_000), reason: "so".to_owned() };
                controller.command(order, now).unwrap();
            }
            5 => controller.let_go("default"),
            6 => {
                let refused = Fault { code: "bad-import".to_owned(), message: "no".to_owned() };
                controller.install("steer", Slot::Stage, Err(refused), now);
            }
            7 => controller.set_page_signals(&["queue-depth".to_owned()]),
            8 => controller.set_source_period(Span(7_000)),
            _ => {}
        }
        total += event.completed;
        let id = |i: u32| Arc::from(format!("r{i}"));
        let replica = |i| Replica { id: id(i), state: ReplicaState::Ready, since: Time(0), restarting: false };
        let report = PoolReport {
            pool: Arc::from("default"),
            at: now,
            desired,
            standby: 0,
            can_standby: false,
            rolling_out: event.mood == 7,
            replicas: (0..desired).map(replica).collect(),
        };
        let mut samples = Vec::new();
        for replica in 0..desired {
            for (signal, reading) in
                [("queue-depth", Reading::Gauge(event.queue)), ("requests-completed", Reading::Counter(total))]
            {
                let origin = Origin::Replica { pool: Arc::from("default"), replica: id(replica) };
                samples.push(Sample { origin, signal: Arc::from(signal), labels: Vec::new(), at: now, reading });
            }
        }
        controller.observe(Intake { samples, pools: vec![report], utc_offset_minutes: 60 }, now);
        let wants = controller.propose(now);
        let decision = controller.decide(&arbiter.grant(&controller.config().id.clone(), &wants), now);
        for action in decision.actions() {
            let state = match event.mood {
                0 => OutcomeState::Refused,
                1 => OutcomeState::Failed,
                2 => continue,
                _ => OutcomeState::Applied,
            };
            if state == OutcomeState::Applied {
                desired = action.serving;
            }
            let outcome = Outcome { decision: action.decision, pool: action.pool, state, message: String::new() };
            controller.record(outcome, now + Span(300));
        }
        decisions.push(decision);
        let taped = controller.take_tape().unwrap();
        assert!(!taped.full);
        segments.last_mut().unwrap().2.push(taped.bytes);
        if event.happens >= 20 {
            segments.push((controller.begin_tape(), true, Vec::new()));
        }
    }
    (segments, decisions)
}

struct Told {
    recorded: Vec<(String, Numbers)>,
    differs: Option<Part>,
    decision: Decision,
}

/// Every decision; panics where a snapshot is another.
fn replay(segments: &[(Vec<u8>, bool, Vec<Vec<u8>>)], other: Option<Other<'_>>) -> Vec<Told> {
    let mut replay = Replay::new(&known, other);
    let mut ticks = Vec::new();
    for (snapshot, goes_on, tapes) in segments {
        assert!(replay.begin(snapshot, *goes_on).unwrap(), "the state of a segment is another");
        for taped in tapes {
            let mut keep = |tick: &Tick<'_>| {
                let Tick { recorded, differs, decision } = tick.clone();
                ticks.push(Told { recorded, differs, decision: decision.clone() });
            };
            replay.take(taped, &mut keep).unwrap();
        }
    }
    ticks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_every_segment_the_bytes_are_the_same(events in events()) {
        let (segments, decisions) = play(&events, events.len() % 2 == 0);
        let decided = decisions.len();
        for first in 0..segments.len() {
            let ticks = replay(&segments[first..], None);
            prop_assert!(ticks.iter().all(|tick| tick.differs.is_none()));
            prop_assert!(first > 0 || ticks.len() == decided);
        }
        let numbers = |tick: &Told| tick.decision.pools.iter().map(Into::into).collect::<Vec<_>>();
        let same = Other { config: None, module: &|_, _| None };
        for tick in replay(&segments, Some(same)) {
            let recorded: Vec<_> = tick.recorded.iter().map(|(_, n)| *n).collect();
            prop_assert_eq!(recorded, numbers(&tick), "asked the same policies, the open loop is the same too");
        }
    }

    #[test]
    fn with_a_shadow_everything_is_decided_as_without(events in events()) {
        let (_, plain) = play(&events, false);
        let (_, mut shadowed) = play(&events, true);
        let asked = shadowed.iter_mut().filter_map(|d| d.stages[0].shadow.take()).count();
        prop_assert_eq!(asked, plain.len());
        prop_assert_eq!(serde_json::to_vec(&shadowed).unwrap(), serde_json::to_vec(&plain).unwrap());
    }

    #[test]
    fn another_policy_is_asked_on_the_same_inputs(events in events()) {
        let (segments, decisions) = play(&events, false);
        let decided = decisions.len();
        let other = Other { config: None, module: &|_, _| Some(module("sha256:c", 0.1, false)) };
        let ticks = replay(&segments, Some(other));
        prop_assert_eq!(ticks.len(), decided);
        prop_assert!(ticks.iter().all(|tick| tick.decision.stages[0].digest == "sha256:c"));
        // Where the target takes what it is asked for, the numbers never jump back to what was recorded.
        let obeyed: Vec<Event> = events.into_iter().map(|e| Event { mood: e.mood.max(3), ..e }).collect();
        let (segments, _) = play(&obeyed, false);
        let mut config = config(99);
        config.pools[0].max = 2;
        let most = Other { config: Some(config), module: &|_, _| None };
        let ticks = replay(&segments, Some(most));
        let to = |tick: &Told| tick.decision.pools[0].to;
        prop_assert!(ticks.windows(2).all(|pair| to(&pair[1]) <= to(&pair[0]).max(2)), "another bound holds");
    }
}
