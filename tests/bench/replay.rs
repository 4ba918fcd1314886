//! Journals of a week, computed again: so many workloads with a chain of one stage and a tick every 15 s.
//!
//! The journals are made by real controllers, a real policy module and the daemon's own writer, under a load that varies
//! over the day; then all of them are read and computed again on one core, with the module of that time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;
use trimtab_control::config::{
    Combine, Guardrails, Module, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WorkloadConfig, WorkloadId,
};
use trimtab_control::decision::{Outcome, OutcomeState};
use trimtab_control::journal::frame::{Found, Records};
use trimtab_control::journal::replay::{Replay, Tick};
use trimtab_control::policy::{Call, Observation, Policy};
use trimtab_control::sample::{Intake, Origin, PoolReport, Reading, Replica, ReplicaState, Sample};
use trimtab_control::time::{Span, Time};
use trimtab_control::{Arbiter, Controller, Slot};
use trimtab_live::journal::{Instead, Journals, Period, Recorder, Rerun, Workload, workloads};
use trimtab_sandbox::{Admitted, Sandbox, SandboxConfig};
use trimtab_tests::figures::{Chance, note, tell};
use trimtab_tests::policies::shipped;

const INTERVAL: Span = Span(15_000);
const TICKS: u64 = 7 * 24 * 3600 / 15;
/// 2026-03-02, a Monday.
const START: Time = Time(1_772_409_600_000);
/// What each workload may keep: enough for the week.
const MOST: u64 = 1 << 30;
/// The shipped policies that are measured, each in every second workload.
const POLICIES: [&str; 2] = ["concurrency", "queue-depth"];

pub(crate) fn run(count: usize) {
    let state = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(SandboxConfig { limits: Rerun::limits(), ..SandboxConfig::default() }).unwrap();
    let modules = POLICIES.map(|name| sandbox.admit(&shipped(name)).unwrap());
    let begun = Instant::now();
    {
        let journals = Journals::start(state.path()).unwrap();
        for number in 0..count {
            week(number, &modules[number % POLICIES.len()], POLICIES[number % POLICIES.len()], &journals);
            if number % 10 == 9 {
                note(&format!("{} of {count} recorded after {:.0} s", number + 1, begun.elapsed().as_secs_f64()));
            }
        }
        journals.flush_blocking();
    }
    let recorded = begun.elapsed().as_secs_f64();
    let rerun = Rerun::new(sandbox);
    let (mut ticks, mut bytes, mut different, mut flaws, mut changes) = (0, 0, 0, 0, 0_u64);
    let begun = Instant::now();
    for workload in workloads(state.path()).unwrap() {
        let mut count = |tick: &Tick<'_>| {
            changes += u64::from(tick.decision.changes());
        };
        let report = rerun.run(&workload, Period::ALL, &Instead::default(), &mut count);
        ticks += report.ticks;
        bytes += report.bytes;
        different += report.different;
        flaws += report.flaws.len();
    }
    let took = begun.elapsed().as_secs_f64();
    let calls = calls(&workloads(state.path()).unwrap()[0], &modules[0]);
    tell(&json!({
        "measured": "replay",
        "workloads": count,
        "ticks": ticks,
        "changes": changes,
        "different": different,
        "flaws": flaws,
        "recordSeconds": (recorded * 10.0).round() / 10.0,
        "replaySeconds": (took * 10.0).round() / 10.0,
        "microsecondsPerTick": (took * 1e8 / ticks as f64).round() / 100.0,
        "ofThemPolicyCalls": (calls * 100.0).round() / 100.0,
        "journalBytesPerTick": (bytes as f64 * 10.0 / ticks as f64).round() / 10.0,
    }));
}

/// A module whose calls are timed.
struct Timed {
    admitted: Admitted,
    nanoseconds: Arc<AtomicU64>,
}

impl Policy for Timed {
    fn decide(&self, config: &str, observation: &Observation, state: &[u8]) -> Call {
        let begun = Instant::now();
        let call = self.admitted.decide(config, observation, state);
        self.nanoseconds.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap(), Ordering::Relaxed);
        call
    }
}

/// Microseconds that a tick of the first workload spends in its policy.
fn calls(workload: &Workload, admitted: &Admitted) -> f64 {
    let nanoseconds = Arc::new(AtomicU64::new(0));
    let timed: Arc<dyn Policy> = Arc::new(Timed { admitted: admitted.clone(), nanoseconds: Arc::clone(&nanoseconds) });
    let find = |_: &str| Some(Arc::clone(&timed));
    let mut replay = Replay::new(&find, None);
    let mut ticks = 0_u64;
    for segment in workload.segments().unwrap() {
        let bytes = std::fs::read(segment.path).unwrap();
        let mut records = Records::of(&bytes);
        while let Some(found) = records.next() {
            match found.unwrap() {
                Found::Opening(_, snapshot) => drop(replay.begin(snapshot, true).unwrap()),
                Found::Entries(taped) => replay.take(taped, &mut |_| ticks += 1).unwrap(),
            }
        }
    }
    nanoseconds.load(Ordering::Relaxed) as f64 / 1e3 / ticks as f64
}

fn config(number: usize, policy: &str) -> WorkloadConfig {
    WorkloadConfig {
        id: WorkloadId { namespace: "bench".to_owned(), name: format!("w{number:03}") },
        generation: 1,
        interval: INTERVAL,
        attributes: Vec::new(),
        pools: vec![PoolConfig {
            name: "default".to_owned(),
            group: None,
            min: 2,
            max: 4,
            zero: None,
            gpus_per_replica: 1,
            price_per_hour: None,
            startup: Span(60_000),
            attributes: Vec::new(),
        }],
        stages: vec![StageConfig {
            name: "steer".to_owned(),
            module: ModuleRef { policy: policy.to_owned(), config: "{}".to_owned(), digest: None },
            combine: Combine::Replace,
            on_failure: OnFailure::NoDown,
            shadow: None,
        }],
        guardrails: Guardrails {
            stale_after: None,
            min_coverage: 0.9,
            silent_after: None,
            scale_up: None,
            scale_down: Rate { max_step: Step::Percent(100), per: Span(60_000) },
            cooldown: Span(300_000),
        },
    }
}

/// What one replica has counted.
struct Server {
    id: Arc<str>,
    since: Time,
    completed: f64,
}

/// One workload's week.
fn week(number: usize, admitted: &Admitted, policy: &str, journals: &Journals) {
    let config = config(number, policy);
    let id = config.id.clone();
    let mut controller = Controller::new(config, None, START);
    let mut recorder = Recorder::new(journals.clone(), id.clone());
    recorder.set(Some(MOST), &mut controller, START);
    recorder.module(admitted.digest(), admitted.bytes());
    let module = Module {
        policy: Arc::new(admitted.clone()),
        digest: admitted.digest().to_owned(),
        preparation: admitted.prepare("{}").unwrap(),
        state_version: admitted.description().state_version,
    };
    controller.install("steer", Slot::Stage, Ok(module), START);
    let (pool, signals): (Arc<str>, [Arc<str>; 4]) = (
        Arc::from("default"),
        ["active-sequences", "queue-depth", "requests-completed", "kv-cache-usage"].map(Arc::from),
    );
    let mut chance = Chance::new(number as u64 + 1);
    let mut arbiter = Arbiter::new();
    let server =
        |n: u64, since| Server { id: Arc::from(format!("w{number:03}-default-{n:05}")), since, completed: 0.0 };
    let mut servers: Vec<Server> = (0..2).map(|n| server(n, START)).collect();
    let mut next = 2;
    for tick in 0..TICKS {
        let now = Time(START.0 + tick * INTERVAL.0);
        let day = (tick as f64 + number as f64 * 57.0) / 5760.0 * std::f64::consts::TAU;
        let noise = chance.duration(std::time::Duration::from_secs(1)).as_secs_f64();
        let wanted = (14.0 - 11.0 * day.cos()) * (0.6 + 0.8 * noise);
        let ready = |s: &Server| now.since(s.since) >= Span(60_000) || s.since == START;
        let serving = servers.iter().filter(|s| ready(s)).count().max(1) as f64;
        let mut samples = Vec::with_capacity(servers.len() * signals.len());
        for server in servers.iter_mut().filter(|s| ready(s)) {
            let running = (wanted / serving).min(8.0).floor();
            let waiting = (wanted / serving - 8.0).max(0.0).floor();
            server.completed += (running * 3.0 * (0.5 + noise)).floor();
            let readings = [
                Reading::Gauge(running),
                Reading::Gauge(waiting),
                Reading::Counter(server.completed),
                Reading::Gauge((running / 8.0 * 1000.0).round() / 1000.0),
            ];
            samples.extend(signals.iter().zip(readings).map(|(signal, reading)| Sample {
                origin: Origin::Replica { pool: Arc::clone(&pool), replica: Arc::clone(&server.id) },
                signal: Arc::clone(signal),
                labels: Vec::new(),
                at: now,
                reading,
            }));
        }
        let replica = |s: &Server| Replica {
            id: Arc::clone(&s.id),
            state: if ready(s) { ReplicaState::Ready } else { ReplicaState::Starting },
            since: if ready(s) && s.since != START { Time(s.since.0 + 60_000) } else { s.since },
            restarting: false,
        };
        let report = PoolReport {
            pool: Arc::clone(&pool),
            at: now,
            desired: servers.len() as u32,
            standby: 0,
            can_standby: false,
            rolling_out: false,
            replicas: servers.iter().map(replica).collect(),
        };
        controller.observe(Intake { samples, pools: vec![report], utc_offset_minutes: 60 }, now);
        let wants = controller.propose(now);
        let decision = controller.decide(&arbiter.grant(&id, &wants), now);
        for action in decision.actions() {
            while servers.len() < action.serving as usize {
                servers.push(server(next, now));
                next += 1;
            }
            servers.truncate(action.serving as usize);
            let (state, message) = (OutcomeState::Applied, String::new());
            controller.record(Outcome { decision: action.decision, pool: action.pool, state, message }, now);
        }
        recorder.after(&mut controller, || now);
        if tick % 1_000 == 999 {
            journals.flush_blocking();
        }
    }
    recorder.end(&mut controller);
    assert_eq!(recorder.lost(), 0, "{id}: something was not written");
}
