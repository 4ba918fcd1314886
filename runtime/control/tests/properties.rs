//! What must hold for any input: hostile answers, garbage samples, targets in any mood, any order of events.
//!
//! For: invariants that no case would think of. The bounds are computed here anew, not taken from the crate's own check.

#![allow(clippy::unwrap_used)] // a test may fail

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use trimtab_control::config::{
    Combine, Guardrails, Module, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WorkloadConfig, WorkloadId,
};
use trimtab_control::decision::{Decision, Outcome, OutcomeState};
use trimtab_control::policy::{Answer, Call, Fault, MetricNeed, Observation, Policy, Preparation, Target, Tier};
use trimtab_control::sample::{Histogram, Intake, Origin, PoolReport, Reading, Replica, ReplicaState, Sample};
use trimtab_control::time::{Span, Time};
use trimtab_control::{Arbiter, Controller, Slot};

const COOLDOWN: Span = Span(20_000);
const PER: Span = Span(15_000);
const STEP: u32 = 2;
const STALE: Span = Span(15_000);

/// One tick's worth of world.
#[derive(Debug, Clone)]
struct Event {
    after_ms: u64,
    serving: u32,
    standby: u32,
    hostile: u8,
    reading: u8,
    speaks: bool,
    mood: u8,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let number = prop_oneof![0_u32..10, Just(u32::MAX), any::<u32>()];
    let event = (1_000_u64..12_000, number.clone(), number, 0_u8..12, 0_u8..14, prop::bool::weighted(0.8), 0_u8..8)
        .prop_map(|(after_ms, serving, standby, hostile, reading, speaks, mood)| Event {
            after_ms,
            serving,
            standby,
            hostile,
            reading,
            speaks,
            mood,
        });
    prop::collection::vec(event, 1..60)
}

/// Numbers that a pool can have, so that the tiers trade places.
fn tiered() -> impl Strategy<Value = Vec<Event>> {
    let small = |mut event: Event| {
        (event.serving, event.standby) = (event.serving % 8, event.standby % 5);
        event
    };
    events().prop_map(move |events| events.into_iter().map(small).collect())
}

struct Hostile(Arc<Mutex<Event>>);

impl Policy for Hostile {
    fn decide(&self, _config: &str, _observation: &Observation, _state: &[u8]) -> Call {
        let event = self.0.lock().unwrap().clone();
        let target = |pool: &str, tier, replicas| Target { pool: pool.to_owned(), tier, replicas };
        let mut targets =
            vec![target("default", Tier::Serving, event.serving), target("default", Tier::Standby, event.standby)];
        let mut state = Some(vec![0_u8; 16]);
        match event.hostile {
            0 => targets.push(target("nowhere", Tier::Serving, 7)),
            1 => targets.push(target("default", Tier::Serving, 7)),
            2 => state = Some(vec![0; 70_000]),
            3 => {
                let fault = Fault { code: "trap".to_owned(), message: String::new() };
                return Call { answer: Err(fault), log: Vec::new(), bounds: Vec::new() };
            }
            4 => targets.push(target("default", Tier::Headroom, u32::MAX)),
            _ => {}
        }
        let recheck = Some(Span(u64::from(event.serving)));
        Call {
            answer: Ok(Answer { targets, state, recheck, ..Answer::default() }),
            log: Vec::new(),
            bounds: Vec::new(),
        }
    }
}

fn reading(kind: u8) -> Reading {
    let buckets = |b: Vec<(f64, f64)>| Reading::Histogram(Arc::new(Histogram { buckets: b }));
    match kind {
        0 => Reading::Gauge(f64::NAN),
        1 => Reading::Gauge(f64::INFINITY),
        2 => Reading::Gauge(-1.0),
        3 => Reading::Counter(f64::NAN),
        4 => Reading::Counter(1e300),
        5 => buckets(vec![]),
        6 => buckets(vec![(1.0, 5.0), (1.0, 3.0)]),
        7 => buckets(vec![(f64::NEG_INFINITY, 1.0), (f64::INFINITY, f64::MAX)]),
        8 => Reading::Gauge(f64::MAX),
        _ => Reading::Gauge(f64::from(kind)),
    }
}

fn config() -> WorkloadConfig {
    let module = ModuleRef { policy: "hostile".to_owned(), config: "{}".to_owned(), digest: None };
    WorkloadConfig {
        id: WorkloadId { namespace: "default".to_owned(), name: "chat".to_owned() },
        generation: 1,
        interval: Span(5_000),
        attributes: Vec::new(),
        pools: vec![PoolConfig {
            name: "default".to_owned(),
            group: None,
            min: 2,
            max: 6,
            zero: None,
            gpus_per_replica: 1,
            price_per_hour: None,
            startup: Span(10_000),
            attributes: Vec::new(),
        }],
        stages: vec![StageConfig {
            name: "hostile".to_owned(),
            module,
            combine: Combine::Replace,
            on_failure: OnFailure::NoDown,
            shadow: None,
        }],
        guardrails: Guardrails {
            stale_after: Some(STALE),
            min_coverage: 0.9,
            silent_after: None,
            scale_up: None,
            scale_down: Rate { max_step: Step::Count(STEP), per: PER },
            cooldown: COOLDOWN,
        },
    }
}

fn need() -> MetricNeed {
    MetricNeed {
        signal: "queue-depth".to_owned(),
        by: Vec::new(),
        within: String::new(),
        across: String::new(),
        step: Span(1_000),
        window: Span(60_000),
        required: true,
    }
}

/// Plays events against a target that does what its mood says, with a standby tier and a limit upwards or without.
/// Returns every decision.
fn play(events: &[Event], tiers: bool) -> Result<Vec<Decision>, TestCaseError> {
    let event = Arc::new(Mutex::new(events[0].clone()));
    let mut config = config();
    config.guardrails.scale_up = tiers.then_some(Rate { max_step: Step::Count(STEP), per: PER });
    let mut controller = Controller::new(config, None, Time(0));
    let needs = ["queue-depth", "ttft-p95", "request-rate"].map(|signal| MetricNeed {
        signal: signal.to_owned(),
        required: signal == "queue-depth",
        ..need()
    });
    let module = Module {
        policy: Arc::new(Hostile(Arc::clone(&event))),
        digest: "sha256:00".to_owned(),
        preparation: Preparation { needs: needs.to_vec(), attributes: Vec::new() },
        state_version: 1,
    };
    controller.install("hostile", Slot::Stage, Ok(module), Time(0));
    let mut arbiter = Arbiter::new();
    let (mut now, mut desired, mut standby) = (Time(1_000_000), 9_u32, 0_u32);
    let (mut good_at, mut last_up): (Option<Time>, Option<Time>) = (None, None);
    let mut downs: Vec<(Time, u32)> = Vec::new();
    let mut decisions = Vec::new();
    for one in events {
        now = now + Span(one.after_ms);
        *event.lock().unwrap() = one.clone();
        let replicas = (0..desired + standby).map(|i| Replica {
            id: Arc::from(format!("r{i}")),
            state: if i < desired { ReplicaState::Ready } else { ReplicaState::Standby },
            since: Time(0),
            restarting: false,
        });
        let report = PoolReport {
            pool: Arc::from("default"),
            at: now,
            desired,
            standby,
            can_standby: tiers,
            rolling_out: one.mood == 7,
            replicas: replicas.collect(),
        };
        let mut samples = Vec::new();
        for replica in 0..if one.speaks { desired } else { 0 } {
            for signal in ["queue-depth", "ttft", "requests-completed"] {
                samples.push(Sample {
                    origin: Origin::Replica { pool: Arc::from("default"), replica: Arc::from(format!("r{replica}")) },
                    signal: Arc::from(signal),
                    labels: Vec::new(),
                    at: now,
                    reading: reading(one.reading),
                });
            }
        }
        if one.speaks && one.reading > 8 {
            good_at = Some(now);
        }
        controller.observe(Intake { samples, pools: vec![report], utc_offset_minutes: 0 }, now);
        let wants = controller.propose(now);
        let decision = controller.decide(&arbiter.grant(&controller.config().id.clone(), &wants), now);
        let (from, to) = (decision.pools[0].from, decision.pools[0].to);
        prop_assert_eq!(from, desired);
        prop_assert!((2..=6).contains(&to) || (to <= from && from > 6 && to > 6) || to == from, "{} -> {}", from, to);
        let (standby_from, standby_to) = (decision.pools[0].standby_from, decision.pools[0].standby_to);
        prop_assert!(tiers || standby_to == 0);
        // Standby that serves, or has no room under the bound, is not taken away.
        let (before, after) = (from + standby_from, to + standby_to);
        let lower = to < from || (standby_to < standby_from && after < before.min(6));
        if lower {
            prop_assert!(good_at.is_some_and(|at| now.since(at) <= STALE), "down on stale data");
            prop_assert!(last_up.is_none_or(|at| now.since(at) >= COOLDOWN), "down inside the cooldown");
            prop_assert!(one.mood != 7, "down during a roll-out");
            let recent: u32 = downs.iter().filter(|(at, _)| now.since(*at) < PER).map(|(_, n)| n).sum();
            prop_assert!(to == from || recent + from.saturating_sub(to) <= STEP, "faster than the rate");
        }
        for action in decision.actions() {
            let state = match one.mood {
                0 => OutcomeState::Refused,
                1 => OutcomeState::Failed,
                2 => OutcomeState::Superseded,
                _ => OutcomeState::Applied,
            };
            if state == OutcomeState::Applied {
                if to > from || after > before {
                    last_up = Some(now);
                }
                downs.push((now, from.saturating_sub(to)));
                (desired, standby) = (action.serving, action.standby);
            }
            let outcome = Outcome { decision: action.decision, pool: action.pool, state, message: String::new() };
            controller.record(outcome, now);
        }
        prop_assert_eq!(controller.violations(), 0);
        let _ = controller.status(now);
        decisions.push(decision);
    }
    let saved = serde_json::to_string(&controller.save()).unwrap();
    let again: trimtab_control::Saved = serde_json::from_str(&saved).unwrap();
    prop_assert_eq!(serde_json::to_string(&again).unwrap(), saved);
    Ok(decisions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_guardrails_hold_and_the_bytes_are_the_same(events in events()) {
        let (first, second) = (play(&events, false)?, play(&events, false)?);
        prop_assert_eq!(serde_json::to_vec(&first).unwrap(), serde_json::to_vec(&second).unwrap());
    }

    #[test]
    fn with_a_standby_tier_they_hold_too(events in tiered()) {
        play(&events, true)?;
    }
}
