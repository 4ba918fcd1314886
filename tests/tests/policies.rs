//! The golden cases of the shipped policies, put to the committed modules in the sandbox and to the same source as plain
//! Rust. Both must give what the cases say, and the same answers to the byte.

use std::path::{Path, PathBuf};

use serde_json::Value;
use trimtab_control::policy::{Answer, MetricNeed, Observation, Preparation, Target, Tier};
use trimtab_control::time::Span;
use trimtab_sandbox::Admitted;
use trimtab_sdk::bindings::exports::trimtab::policy::policy::Guest as Contract;

use crate::cases::{self, Refused, Subject};
use crate::place;

/// Module and source at once: their answers must not differ.
struct Both<P> {
    module: Admitted,
    source: std::marker::PhantomData<P>,
}

impl<P: Contract> Subject for Both<P> {
    fn prepare(&self, config: &Value) -> Result<Preparation, Refused> {
        let module = Subject::prepare(&self.module, config);
        if let (Ok(module), Ok(source)) = (&module, P::prepare(config.to_string())) {
            let source: Vec<MetricNeed> = source.needs.into_iter().map(need).collect();
            assert_eq!(module.needs, source, "the needs of module and source differ; run policies/build");
        }
        module
    }

    fn decide(&self, config: &str, seen: &Observation, state: &[u8]) -> Result<Answer, Refused> {
        let module = Subject::decide(&self.module, config, seen, state);
        match (&module, P::decide(config.into(), observation(seen), state.to_vec())) {
            (Ok(module), Ok(source)) => {
                assert_eq!(*module, answer(source), "the answers of module and source differ; run policies/build");
            }
            (Err(module), Err(source)) => assert_eq!(module.code(), source.code),
            (module, source) => panic!("module and source differ, run policies/build: {module:?} and {source:?}"),
        }
        module
    }
}

fn need(need: trimtab_sdk::Need) -> MetricNeed {
    let trimtab_sdk::Need { signal, by, within, across, step, window, required } = need;
    MetricNeed { signal, by, within, across, step: Span(step), window: Span(window), required }
}

fn answer(decision: trimtab_sdk::Decision) -> Answer {
    let target =
        |t: trimtab_sdk::Target| Target { pool: t.pool, tier: Tier::parse(&t.tier).unwrap(), replicas: t.replicas };
    Answer {
        targets: decision.targets.into_iter().map(target).collect(),
        reason: decision.reason,
        notes: decision.notes,
        state: decision.state,
        recheck: decision.recheck.map(Span),
    }
}

fn observation(seen: &Observation) -> trimtab_sdk::Observation {
    let pool = |p: &trimtab_control::policy::Pool| trimtab_sdk::Pool {
        name: p.name.clone(),
        min: p.min,
        max: p.max,
        desired: p.desired,
        ready: p.ready,
        starting: p.starting,
        draining: p.draining,
        standby: p.standby,
        headroom: p.headroom,
        ready_at: p.ready_at.iter().map(|t| t.0).collect(),
        obtainable: p.obtainable,
        facts: p.facts.clone(),
        attributes: p.attributes.clone(),
    };
    let series = |s: &trimtab_control::policy::Series| trimtab_sdk::Series {
        signal: s.signal.clone(),
        labels: s.labels.clone(),
        step: s.step.0,
        values: s.values.clone(),
        age: s.age.0,
        coverage: s.coverage,
    };
    let target =
        |t: &Target| trimtab_sdk::Target { pool: t.pool.clone(), tier: t.tier.as_str().into(), replicas: t.replicas };
    trimtab_sdk::Observation {
        now: seen.now.0,
        interval: seen.interval.0,
        workload: seen.workload.clone(),
        pools: seen.pools.iter().map(pool).collect(),
        series: seen.series.iter().map(series).collect(),
        proposed: seen.proposed.iter().map(target).collect(),
        facts: seen.facts.clone(),
        attributes: seen.attributes.clone(),
    }
}

fn folder(policy: &str) -> PathBuf {
    place::root().join("policies").join(policy)
}

fn golden<P: Contract>(policy: &str) {
    let folder = folder(policy);
    let module = admit(&folder.join(format!("{policy}.wasm")));
    assert_eq!(module.description().name, policy);
    assert_eq!(module.description().config_schema, std::fs::read_to_string(folder.join("schema.json")).unwrap());
    let subject = Both::<P> { module, source: std::marker::PhantomData };
    let (mut cases, mut wrong) = (0, Vec::new());
    for file in cases::files(&folder.join("cases")) {
        let (played, problems) = cases::play(&subject, &file);
        cases += played;
        wrong.extend(problems);
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} cases are not what the policy answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases > 0, "{policy} has no cases");
}

fn admit(file: &Path) -> Admitted {
    let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    cases::sandbox().admit(&bytes).unwrap_or_else(|refusal| panic!("{}: {refusal}", file.display()))
}

#[test]
fn concurrency() {
    golden::<trimtab_sdk::Guest<policy_concurrency::Concurrency>>("concurrency");
}

#[test]
fn queue_depth() {
    golden::<trimtab_sdk::Guest<policy_queue_depth::QueueDepth>>("queue-depth");
}

#[test]
fn burst_forecast() {
    golden::<trimtab_sdk::Guest<policy_burst_forecast::BurstForecast>>("burst-forecast");
}

#[test]
fn warm_buffer() {
    golden::<trimtab_sdk::Guest<policy_warm_buffer::WarmBuffer>>("warm-buffer");
}

#[test]
fn cooldown() {
    golden::<trimtab_sdk::Guest<policy_cooldown::Cooldown>>("cooldown");
}

#[test]
fn schedule() {
    golden::<trimtab_sdk::Guest<policy_schedule::Schedule>>("schedule");
}

#[test]
fn every_policy_of_the_tree_has_its_test() {
    let tested = ["burst-forecast", "concurrency", "cooldown", "queue-depth", "schedule", "warm-buffer"];
    let mut found: Vec<String> = std::fs::read_dir(place::root().join("policies"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, tested);
}

#[test]
fn a_wrong_expectation_is_found() {
    let module = admit(&folder("cooldown").join("cooldown.wasm"));
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let said = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        cases::play(&module, file.path()).1.join("\n")
    };
    let case = |rest: &str| format!("cases:\n  - {{name: one, observation: {{proposed: {{default: 4}}}}, {rest}}}\n");
    assert_eq!(said(&case("expect: {targets: {default: 4}}")), "");
    assert!(said(&case("expect: {targets: {default: 5}}")).contains("default serving: Some(4), expected 5"));
    assert!(said(&case("expect: {targets: {other: 5}}")).contains("other serving: None"));
    assert!(said(&case("expect: {reason: never}")).contains("expected to find `never`"));
    assert!(said(&case("expect: {notes: {a: b}}")).contains("note a"));
    assert!(said(&case("expect: {recheck: 5s}")).contains("recheck None"));
    assert!(said(&case("expect: {error: {code: other}}")).contains("expected a refusal with other"));
    assert!(said(&case("config: {step: 0}, expect: {reason: x}")).contains("bad-config"));
    assert!(said("cases:\n  - {name: one, observation: {series: {x: 1}}, expect: {}}").contains("does not ask for"));
}
