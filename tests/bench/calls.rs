//! What one decision costs, and where the time goes: the reference policy (`tests/guests/reference`) as native code, as a
//! guest of the SDK, as a guest of somebody who knows of no flags, and in an engine taken as it comes.
//!
//! All of them take turns in each round on one thread; a figure is the median of a round's calls, a ratio that of a round,
//! and what is told the median over the rounds. Then the same on two threads at once. Absolute times belong to the
//! machine, ratios less so.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use guest_reference::{Config, Memory, Reference, SERIES, STEPS};
use serde_json::{Value, json};
use trimtab_control::policy::{Observation, Policy, Pool, Series, Target, Tier};
use trimtab_control::time::{Span, Time};
use trimtab_sandbox::probe::{Phases, Stock};
use trimtab_sandbox::{Admitted, Bounds, Sandbox, SandboxConfig};
use trimtab_sdk::Policy as _;
use trimtab_tests::figures::{note, tell};
use trimtab_tests::place;

/// Calls in a round.
const CALLS: usize = 2000;
/// Each thread calls for so long.
const LASTING: Duration = Duration::from_secs(1);
/// Calls of one reused instance, whose arena grows with each: those of the SDK serve one call.
const OF_ONE: usize = 8;

/// The reference as a component that is linked and ready.
pub(crate) fn guest(sandbox: &Sandbox, name: &str) -> Admitted {
    sandbox.admit(&module(name)).unwrap()
}

fn module(name: &str) -> Vec<u8> {
    std::fs::read(place::root().join("tests/guests/reference").join(name)).unwrap()
}

/// What the policy sees: as many series as it asks for, one pool with the facts that the daemon gives.
pub(crate) fn observation() -> Observation {
    let values = |n: usize| (0..STEPS as usize).map(|i| ((i * 7919 + n * 104_729) % 1000) as f64 / 10.0).collect();
    let series = (0..SERIES).map(|n| Series {
        signal: format!("signal-{n}"),
        labels: Vec::new(),
        step: Span(1000),
        values: values(n),
        age: Span(500),
        coverage: 1.0,
    });
    let facts = ["startup-p50-ms", "startup-p90-ms", "startup-samples", "failed", "stuck", "gpus-per-replica"];
    let pool = Pool {
        name: "default".into(),
        min: 1,
        max: 64,
        desired: 4,
        ready: 4,
        starting: 0,
        draining: 0,
        standby: 0,
        headroom: 0,
        ready_at: Vec::new(),
        obtainable: None,
        facts: facts.iter().map(|name| ((*name).to_owned(), 1.0)).collect(),
        attributes: vec![("gpu".into(), "H100".into())],
    };
    let tiers = [(Tier::Serving, 4), (Tier::Standby, 0), (Tier::Headroom, 0)];
    Observation {
        now: Time(1_795_000_000_000),
        interval: Span(1000),
        workload: "team-a/chat".into(),
        pools: vec![pool],
        series: series.collect(),
        proposed: tiers.map(|(tier, replicas)| Target { pool: "default".into(), tier, replicas }).to_vec(),
        facts: vec![("utc-offset-minutes".into(), 0.0)],
        attributes: Vec::new(),
    }
}

/// The same for native code.
fn native(from: &Observation) -> trimtab_sdk::Observation {
    let series = from.series.iter().map(|s| trimtab_sdk::Series {
        signal: s.signal.clone(),
        labels: Vec::new(),
        step: s.step.0,
        values: s.values.clone(),
        age: s.age.0,
        coverage: s.coverage,
    });
    let pool = |p: &Pool| trimtab_sdk::Pool { name: p.name.clone(), min: p.min, max: p.max, ..Default::default() };
    trimtab_sdk::Observation {
        pools: from.pools.iter().map(pool).collect(),
        series: series.collect(),
        ..Default::default()
    }
}

/// The policy as a host without a sandbox would hold it: its configuration read, its memory a value.
trait Native: Send + Sync {
    fn decide(&self, seen: &trimtab_sdk::Observation, memory: &mut Memory) -> u32;
}

impl Native for Config {
    fn decide(&self, seen: &trimtab_sdk::Observation, memory: &mut Memory) -> u32 {
        Reference::decide(self, seen, memory).unwrap().targets[0].replicas
    }
}

/// One way to decide; each call is timed alone.
type Way<'a> = (&'static str, Box<dyn FnMut() -> Duration + 'a>);

fn timed<R>(call: impl FnOnce() -> R) -> Duration {
    let begun = Instant::now();
    black_box(call());
    begun.elapsed()
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

pub(crate) fn run(rounds: usize) {
    let guarded = Sandbox::new(SandboxConfig::default()).unwrap();
    let checked = Sandbox::new(SandboxConfig { bounds: Bounds::Checked, ..SandboxConfig::default() }).unwrap();
    let (lean, plain) = (guest(&guarded, "reference.wasm"), guest(&guarded, "plain.wasm"));
    let unguarded = guest(&checked, "plain.wasm");
    let stock = Stock::new(&guarded, &module("plain.wasm")).unwrap();
    let (observation, state) = (observation(), vec![0_u8; 256]);
    let fresh = |admitted: &Admitted| admitted.decide("{}", black_box(&observation), &state).answer.unwrap();

    let seen = native(&observation);
    let policy: Box<dyn Native> = Box::new(Config::default());
    let mut memory = Memory::default();
    let mut again = (0, lean.reused().unwrap());
    let mut reused = || {
        if again.0 == OF_ONE {
            again = (0, lean.reused().unwrap());
            again.1.decide("{}", &observation, &state).unwrap();
        }
        again.0 += 1;
        timed(|| again.1.decide("{}", black_box(&observation), &state).unwrap())
    };
    let mut ways: Vec<Way<'_>> = vec![
        ("native", Box::new(|| timed(|| policy.decide(black_box(&seen), &mut memory)))),
        ("sdkFresh", Box::new(|| timed(|| fresh(&lean)))),
        ("sdkReused", Box::new(&mut reused)),
        ("plainFresh", Box::new(|| timed(|| fresh(&plain)))),
        ("plainFreshUnguarded", Box::new(|| timed(|| fresh(&unguarded)))),
        ("stockFresh", Box::new(|| timed(|| stock.decide("{}", black_box(&observation), &state).unwrap()))),
    ];
    let mut medians: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
    let mut ratios = medians.clone();
    let mut worst = medians.clone();
    for round in 0..=rounds {
        let mut native = 0.0;
        for (n, (_, call)) in ways.iter_mut().enumerate() {
            let mut micros: Vec<f64> = (0..CALLS).map(|_| call().as_secs_f64() * 1e6).collect();
            let median = quantile(&mut micros, 0.5);
            native = if n == 0 { median } else { native };
            // The first round warms caches up.
            if round > 0 {
                medians[n].push(median);
                ratios[n].push(median / native);
                worst[n].push(quantile(&mut micros, 0.99));
            }
        }
        note(&format!("round {round} of {rounds}"));
    }
    let rows: Vec<Value> = ways
        .iter()
        .enumerate()
        .map(|(n, (name, _))| {
            let [micros, p99, ratio] = [&mut medians[n], &mut worst[n], &mut ratios[n]].map(|v| quantile(v, 0.5));
            json!({"name": name, "microseconds": round2(micros), "p99": round2(p99), "ofNative": round2(ratio)})
        })
        .collect();
    let of_stock = |n: usize| round2(rows_micros(&rows, 5) / rows_micros(&rows, n));
    let threads: Vec<Value> = [
        ("sdkFresh", throughput(&|| drop(fresh(&lean)))),
        ("plainFresh", throughput(&|| drop(fresh(&plain)))),
        ("stockFresh", throughput(&|| stock.decide("{}", &observation, &state).unwrap())),
    ]
    .into_iter()
    .map(|(name, [one, two])| json!({"name": name, "one": one, "two": two, "scaling": round2(two / one)}))
    .collect();
    tell(&json!({
        "measured": "calls", "rounds": rounds, "calls": rows, "phasesNanoseconds": phases(&lean, &observation, &state),
        "sdkFreshAgainstStock": of_stock(1), "plainFreshAgainstStock": of_stock(3), "perSecond": threads,
    }));
}

fn rows_micros(rows: &[Value], n: usize) -> f64 {
    rows[n]["microseconds"].as_f64().unwrap()
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Calls a second on one thread, and on two at once.
fn throughput(call: &(dyn Fn() + Sync)) -> [f64; 2] {
    [1, 2].map(|threads| {
        let barrier = Barrier::new(threads);
        let count = || {
            barrier.wait();
            let begun = Instant::now();
            let mut calls = 0_u64;
            while begun.elapsed() < LASTING {
                (0..50).for_each(|_| call());
                calls += 50;
            }
            calls as f64 / begun.elapsed().as_secs_f64()
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).sum::<f64>().round()
        })
    })
}

/// The median of each part of a call.
fn phases(admitted: &Admitted, observation: &Observation, state: &[u8]) -> Value {
    let seen: Vec<Phases> = (0..CALLS).map(|_| admitted.phases("{}", observation, state).unwrap()).collect();
    let of = |part: fn(&Phases) -> Duration| {
        let mut nanos: Vec<u128> = seen.iter().map(|phases| part(phases).as_nanos()).collect();
        nanos.sort_unstable();
        u64::try_from(nanos[nanos.len() / 2]).unwrap()
    };
    json!({
        "convert": of(|p| p.convert), "store": of(|p| p.store), "instantiate": of(|p| p.instantiate),
        "call": of(|p| p.call), "drop": of(|p| p.drop),
    })
}
