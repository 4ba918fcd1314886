//! What policies see: rates, sums with a missing replica, merged percentiles, grids and caps.

#![allow(clippy::unwrap_used)] // a test may fail

use super::*;
use crate::decision::InputKind;
use crate::sample::{Histogram, Replica, ReplicaState};

const LIMITS: Limits = Limits { interval: Span(5_000), stale_after: Span(15_000), silent_after: Span(600_000) };

fn need(signal: &str) -> MetricNeed {
    MetricNeed {
        signal: signal.to_owned(),
        by: Vec::new(),
        within: String::new(),
        across: String::new(),
        step: Span(0),
        window: Span(0),
        required: true,
    }
}

fn fleet(ids: &[&str], at: u64) -> Windows {
    let mut windows = Windows::new(BTreeSet::new());
    meet(&mut windows, ids, at);
    windows
}

fn meet(windows: &mut Windows, ids: &[&str], at: u64) {
    let ready =
        |id: &&str| Replica { id: Arc::from(*id), state: ReplicaState::Ready, since: Time(0), restarting: false };
    let report = PoolReport {
        pool: Arc::from("default"),
        at: Time(at),
        desired: ids.len() as u32,
        standby: 0,
        can_standby: false,
        rolling_out: false,
        replicas: ids.iter().map(ready).collect(),
    };
    windows.meet(&report, Time(at));
}

fn say(windows: &mut Windows, id: &str, at: u64, readings: &[(&str, Reading)]) {
    let origin = Origin::Replica { pool: Arc::from("default"), replica: Arc::from(id) };
    let samples = readings.iter().map(|(signal, reading)| Sample {
        origin: origin.clone(),
        signal: Arc::from(*signal),
        labels: Vec::new(),
        at: Time(at),
        reading: reading.clone(),
    });
    windows.take(samples.collect(), LIMITS, Time(at));
}

fn one(windows: &Windows, need: MetricNeed, now: u64) -> Answered {
    windows.answer(&[need], &[vec![0]], 0.9, LIMITS, Time(now)).pop().unwrap().pop().unwrap()
}

use Reading::{Counter, Gauge};

#[test]
fn arrivals_are_completions_and_what_grew() {
    let mut windows = fleet(&["a"], 0);
    for (at, done, waiting, running) in [(0, 100.0, 0.0, 2.0), (10_000, 110.0, 15.0, 7.0)] {
        let page = [
            ("requests-completed", Counter(done)),
            ("queue-depth", Gauge(waiting)),
            ("active-sequences", Gauge(running)),
        ];
        say(&mut windows, "a", at, &page);
    }
    assert_eq!(one(&windows, need("request-rate"), 10_000).series.values, [3.0]);
    assert_eq!(one(&windows, need("completion-rate"), 10_000).series.values, [1.0]);
}

#[test]
fn the_service_rate_is_measured_only_while_the_queue_is_not_empty() {
    let mut windows = fleet(&["a"], 0);
    let mut done = 0.0;
    for second in 0..30_u64 {
        let waiting = if second < 15 { 3.0 } else { 0.0 };
        done += if second < 15 { 4.0 } else { 9.0 };
        let page =
            [("requests-completed", Counter(done)), ("queue-depth", Gauge(waiting)), ("active-sequences", Gauge(1.0))];
        say(&mut windows, "a", second * 1_000, &page);
    }
    assert_eq!(one(&windows, need("service-rate"), 29_000).series.values, [4.0]);
}

#[test]
fn the_last_service_rate_measured_stays_until_there_is_a_newer_one() {
    let mut windows = fleet(&["a", "b"], 0);
    let mut done = 0.0;
    // Saturated at 4 and then at 2 a second, ten minutes apart; then two hours with an empty queue; then at 1.
    let mut run = |windows: &mut Windows, seconds: std::ops::Range<u64>, each: f64, waiting: f64| {
        for second in seconds {
            done += each;
            let queue = [("queue-depth", Gauge(waiting)), ("active-sequences", Gauge(1.0))];
            let page = [&queue[..], &[("requests-completed", Counter(done))]].concat();
            say(windows, "a", second * 1_000, &page);
            windows.forget(LIMITS, Time(second * 1_000));
        }
    };
    let rate = |windows: &Windows, second: u64| one(windows, need("service-rate"), second * 1_000).series.values;
    run(&mut windows, 0..30, 4.0, 3.0);
    run(&mut windows, 600..630, 2.0, 3.0);
    assert_eq!(rate(&windows, 629), [4.0]);
    run(&mut windows, 630..7_800, 0.5, 0.0);
    assert_eq!(rate(&windows, 7_799), [4.0]);
    // Another process, and its replica has not been saturated either.
    let mut later = fleet(&["c"], 7_800_000);
    later.inherit("default", &windows.measured("default"));
    later.forget(LIMITS, Time(7_800_000));
    let page = [("requests-completed", Counter(1.0)), ("queue-depth", Gauge(0.0)), ("active-sequences", Gauge(1.0))];
    say(&mut later, "c", 7_800_000, &page);
    assert_eq!(rate(&later, 7_800), [4.0]);
    run(&mut windows, 7_800..7_830, 1.0, 3.0);
    assert_eq!(rate(&windows, 7_829), [1.0]);
    windows.keep_pools(&|_| false);
    assert!(windows.measured("default").is_empty());
}

#[test]
fn a_missing_replica_counts_at_the_greater_of_its_last_value_and_the_mean() {
    let mut windows = fleet(&["a", "b", "c"], 0);
    for (id, value) in [("a", 4.0), ("b", 6.0), ("c", 9.0)] {
        say(&mut windows, id, 0, &[("queue-depth", Gauge(value))]);
    }
    for at in [10_000, 20_000] {
        say(&mut windows, "a", at, &[("queue-depth", Gauge(2.0))]);
        say(&mut windows, "b", at, &[("queue-depth", Gauge(4.0))]);
    }
    let found = one(&windows, need("queue-depth"), 20_000);
    assert_eq!(found.series.values, [2.0 + 4.0 + 9.0]);
    assert_eq!((found.input.kind, (found.series.coverage * 3.0).round()), (InputKind::Partial, 2.0));
    // Silent: out of the sum and out of the coverage, and named.
    for at in [600_000, 605_000] {
        say(&mut windows, "a", at, &[("queue-depth", Gauge(2.0))]);
        say(&mut windows, "b", at, &[("queue-depth", Gauge(4.0))]);
    }
    let found = one(&windows, need("queue-depth"), 605_000);
    assert_eq!((found.series.values, found.series.coverage), (vec![6.0], 1.0));
    assert_eq!(windows.silent("default", LIMITS, Time(605_000)), [Arc::from("c")]);
}

#[test]
fn percentiles_merge_buckets_over_replicas() {
    let page = |fast: f64, all: f64| {
        Reading::Histogram(Arc::new(Histogram { buckets: vec![(1.0, fast), (2.0, all), (f64::INFINITY, all)] }))
    };
    let mut windows = fleet(&["a", "b"], 0);
    for id in ["a", "b"] {
        say(&mut windows, id, 0, &[("ttft", page(0.0, 0.0))]);
    }
    say(&mut windows, "a", 5_000, &[("ttft", page(90.0, 90.0))]);
    say(&mut windows, "b", 5_000, &[("ttft", page(0.0, 10.0))]);
    assert_eq!(one(&windows, need("ttft-p95"), 5_000).series.values, [1.5]);
    assert!((one(&windows, need("ttft-p50"), 5_000).series.values[0] - 50.0 / 90.0).abs() < 1e-12);
}

#[test]
fn the_grid_ends_now_and_gaps_are_nan() {
    let mut windows = fleet(&["a"], 0);
    say(&mut windows, "a", 0, &[("queue-depth", Gauge(1.0))]);
    say(&mut windows, "a", 40_000, &[("queue-depth", Gauge(2.0))]);
    let found = one(&windows, MetricNeed { window: Span(50_000), step: Span(10_000), ..need("queue-depth") }, 40_000);
    let values: Vec<Option<f64>> = found.series.values.iter().map(|v| v.is_finite().then_some(*v)).collect();
    assert_eq!(values, [Some(1.0), Some(1.0), None, None, Some(2.0)]);
}

#[test]
fn groups_are_kept_apart_and_capped() {
    let mut windows = fleet(&[], 0);
    for index in 0..400 {
        windows.take(
            vec![Sample {
                origin: Origin::Query,
                signal: Arc::from("waiting"),
                labels: vec![("model".to_owned(), format!("m{index:03}"))],
                at: Time(0),
                reading: Gauge(f64::from(index)),
            }],
            LIMITS,
            Time(0),
        );
    }
    let by = MetricNeed { by: vec!["model".to_owned()], window: MAX_WINDOW, step: Span(60_000), ..need("waiting") };
    let found = windows.answer(&[by.clone(), by], &[vec![0, 1]], 0.9, LIMITS, Time(0));
    assert_eq!(found.iter().map(Vec::len).sum::<usize>(), MAX_SERIES);
    assert!(found.iter().flatten().map(|a| a.series.values.len()).sum::<usize>() <= MAX_VALUES);
    assert_eq!(found[0][7].series.labels, [("model".to_owned(), "m007".to_owned())]);
}

#[test]
fn nobody_ready_means_coverage_one_and_no_data() {
    let mut windows = fleet(&["a"], 0);
    say(&mut windows, "a", 0, &[("queue-depth", Gauge(1.0))]);
    meet(&mut windows, &[], 5_000);
    let found = one(&windows, need("queue-depth"), 5_000);
    assert_eq!((found.series.values.len(), found.series.coverage, found.input.kind), (0, 1.0, InputKind::Missing));
}
