//! What a tick of the control core costs: `cargo run --release -p trimtab-control --example pace`.
//!
//! For: two figures. 100 replicas read every second, 15 signals each (four of them histograms), a chain that looks back
//! ten minutes: milliseconds of `observe` and of `propose` with `decide`. And a simple workload, three replicas with seven
//! signals and one stage every 15 s for a week: microseconds of a tick, with a journal, and computed again from it;
//! `simple` as an argument measures only that. Never tests anything.

#![allow(clippy::print_stdout)] // printing is what it is for
#![allow(clippy::disallowed_methods)] // it measures time, outside the core

use std::sync::Arc;
#[allow(clippy::disallowed_types)] // it is the pace that is measured
use std::time::Instant;

use trimtab_control::config::{
    Combine, Guardrails, Module, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WorkloadConfig, WorkloadId,
};
use trimtab_control::journal::replay::Replay;
use trimtab_control::policy::{Answer, Call, MetricNeed, Observation, Policy, Preparation};
use trimtab_control::sample::{Histogram, Intake, Origin, PoolReport, Reading, Replica, ReplicaState, Sample};
use trimtab_control::time::{Span, Time};
use trimtab_control::{Arbiter, Controller, Slot};

const REPLICAS: usize = 100;

struct Keeps;

impl Policy for Keeps {
    fn decide(&self, _config: &str, _observation: &Observation, _state: &[u8]) -> Call {
        Call { answer: Ok(Answer::default()), log: Vec::new(), bounds: Vec::new() }
    }
}

fn need(signal: &str, window: u64, step: u64) -> MetricNeed {
    MetricNeed {
        signal: signal.to_owned(),
        by: vec!["pool".to_owned()],
        within: String::new(),
        across: String::new(),
        step: Span(step),
        window: Span(window),
        required: false,
    }
}

fn config() -> WorkloadConfig {
    let stage = |name: &str| StageConfig {
        name: name.to_owned(),
        module: ModuleRef { policy: name.to_owned(), config: "{}".to_owned(), digest: None },
        combine: Combine::Replace,
        on_failure: OnFailure::NoDown,
        shadow: None,
    };
    WorkloadConfig {
        id: WorkloadId { namespace: "default".to_owned(), name: "chat".to_owned() },
        generation: 1,
        interval: Span(1_000),
        attributes: Vec::new(),
        pools: vec![PoolConfig {
            name: "default".to_owned(),
            group: None,
            min: 1,
            max: 200,
            zero: None,
            gpus_per_replica: 1,
            price_per_hour: None,
            startup: Span(180_000),
            attributes: Vec::new(),
        }],
        stages: ["concurrency", "queue-depth", "burst-forecast"].map(stage).to_vec(),
        guardrails: Guardrails {
            stale_after: None,
            min_coverage: 0.9,
            silent_after: None,
            scale_up: None,
            scale_down: Rate { max_step: Step::Percent(10), per: Span(60_000) },
            cooldown: Span(300_000),
        },
    }
}

fn page(pool: &Arc<str>, replica: &Arc<str>, at: Time, tick: u64) -> Vec<Sample> {
    let buckets = |n: u64| {
        let buckets = (0..24_u64).map(|i| (2_f64.powi(i as i32 - 10), (n * (i + 1)) as f64)).collect();
        Reading::Histogram(Arc::new(Histogram { buckets }))
    };
    let gauges = ["queue-depth", "active-sequences", "kv-cache-usage", "duty-cycle", "gpu-memory-usage"];
    let counters = ["requests-completed", "prompt-tokens", "output-tokens", "preemptions", "engine-steps"];
    let mut readings: Vec<(&str, Reading)> = Vec::new();
    readings.extend(gauges.map(|g| (g, Reading::Gauge((tick % 7) as f64 / 7.0))));
    readings.extend(counters.map(|c| (c, Reading::Counter((tick * 3) as f64))));
    readings.extend(["ttft", "itl", "queue-time", "e2e-latency"].map(|h| (h, buckets(tick))));
    let origin = || Origin::Replica { pool: Arc::clone(pool), replica: Arc::clone(replica) };
    readings
        .into_iter()
        .map(|(signal, reading)| Sample {
            origin: origin(),
            signal: Arc::from(signal),
            labels: Vec::new(),
            at,
            reading,
        })
        .collect()
}

fn main() {
    simple();
    if std::env::args().nth(1).as_deref() != Some("simple") {
        large();
    }
}

/// A load that varies over the day, on three replicas.
fn simple() {
    let mut config = config();
    config.interval = Span(15_000);
    config.stages.truncate(1);
    let needs = vec![need("active-sequences", 0, 0), need("queue-depth", 0, 0), need("request-rate", 300_000, 0)];
    let module = || {
        let preparation = Preparation { needs: needs.clone(), attributes: Vec::new() };
        Module { policy: Arc::new(Keeps), digest: "one".to_owned(), preparation, state_version: 1 }
    };
    let pool: Arc<str> = Arc::from("default");
    let ids: Vec<Arc<str>> = (0..3).map(|i| Arc::from(format!("chat-default-{i:05}"))).collect();
    let ticks = 40_320_u64;
    let play = |taped: bool| {
        let mut controller = Controller::new(config.clone(), None, Time(0));
        let mut tapes = vec![if taped { controller.begin_tape() } else { Vec::new() }];
        controller.install("concurrency", Slot::Stage, Ok(module()), Time(0));
        let mut arbiter = Arbiter::new();
        let mut spent = std::time::Duration::ZERO;
        for tick in 0..ticks {
            let now = Time(1_000_000_000 + tick * 15_000);
            let replica = |id: &Arc<str>| Replica {
                id: Arc::clone(id),
                state: ReplicaState::Ready,
                since: Time(0),
                restarting: false,
            };
            let report = PoolReport {
                pool: Arc::clone(&pool),
                at: now,
                desired: 3,
                standby: 0,
                can_standby: false,
                rolling_out: false,
                replicas: ids.iter().map(replica).collect(),
            };
            let samples = ids.iter().flat_map(|id| page(&pool, id, now, tick).into_iter().take(7)).collect();
            #[allow(clippy::disallowed_types)]
            let begun = Instant::now();
            controller.observe(Intake { samples, pools: vec![report], utc_offset_minutes: 0 }, now);
            let wants = controller.propose(now);
            let grant = arbiter.grant(&controller.config().id.clone(), &wants);
            controller.decide(&grant, now);
            tapes.extend(controller.take_tape().map(|taped| taped.bytes));
            spent += begun.elapsed();
        }
        (spent.as_secs_f64() * 1e6 / ticks as f64, tapes)
    };
    let (plain, _) = play(false);
    let (with_tape, tapes) = play(true);
    let keeps: Arc<dyn Policy> = Arc::new(Keeps);
    let find = |_: &str| Some(Arc::clone(&keeps));
    let mut replay = Replay::new(&find, None);
    #[allow(clippy::disallowed_types)]
    let begun = Instant::now();
    let same = replay.begin(&tapes[0], false);
    let mut different = u64::from(!same.is_ok_and(|same| same));
    for taped in &tapes[1..] {
        let told = replay.take(taped, &mut |tick| different += u64::from(tick.differs.is_some()));
        different += u64::from(told.is_err());
    }
    let again = begun.elapsed().as_secs_f64() * 1e6 / ticks as f64;
    let bytes = tapes.iter().map(Vec::len).sum::<usize>() as f64 / ticks as f64;
    println!(
        "a simple workload: {plain:.2} us a tick, {with_tape:.2} us with a journal of {bytes:.0} bytes a tick, {again:.2} us \
         again ({different} differ)"
    );
}

fn large() {
    let mut controller = Controller::new(config(), None, Time(0));
    let needs = [
        vec![need("active-sequences", 0, 0), need("queue-depth", 0, 0)],
        vec![need("queue-depth", 0, 0), need("request-rate", 60_000, 0), need("service-rate", 0, 0)],
        vec![
            need("active-sequences", 600_000, 5_000),
            need("queue-depth", 600_000, 5_000),
            need("request-rate", 600_000, 5_000),
            need("ttft-p95", 600_000, 5_000),
        ],
    ];
    for (stage, needs) in ["concurrency", "queue-depth", "burst-forecast"].iter().zip(needs) {
        let preparation = Preparation { needs, attributes: Vec::new() };
        let module = Module { policy: Arc::new(Keeps), digest: (*stage).to_owned(), preparation, state_version: 1 };
        controller.install(stage, Slot::Stage, Ok(module), Time(0));
    }
    let pool: Arc<str> = Arc::from("default");
    let ids: Vec<Arc<str>> = (0..REPLICAS).map(|i| Arc::from(format!("chat-default-{i:05}"))).collect();
    let mut arbiter = Arbiter::new();
    let mut spent = Vec::new();
    for tick in 0..900_u64 {
        let now = Time(1_000_000 + tick * 1_000);
        let replicas = ids.iter().map(|id| Replica {
            id: Arc::clone(id),
            state: ReplicaState::Ready,
            since: Time(0),
            restarting: false,
        });
        let report = PoolReport {
            pool: Arc::clone(&pool),
            at: now,
            desired: REPLICAS as u32,
            standby: 0,
            can_standby: false,
            rolling_out: false,
            replicas: replicas.collect(),
        };
        let samples = ids.iter().flat_map(|id| page(&pool, id, now, tick)).collect();
        #[allow(clippy::disallowed_types)]
        let begun = Instant::now();
        controller.observe(Intake { samples, pools: vec![report], utc_offset_minutes: 0 }, now);
        let observed = begun.elapsed();
        let wants = controller.propose(now);
        let grant = arbiter.grant(&controller.config().id.clone(), &wants);
        controller.decide(&grant, now);
        spent.push((observed.as_secs_f64() * 1e3, begun.elapsed().as_secs_f64() * 1e3));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = spent[700..].iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (observe, all) = (median(|s| s.0), median(|s| s.1));
    println!(
        "median of 200 ticks: observe {observe:.2} ms, propose and decide {:.2} ms, in all {all:.2} ms",
        all - observe
    );
}
