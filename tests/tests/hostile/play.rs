//! What comes of a case in a sandbox.
//!
//! For: the same steps that a daemon takes: admit, check the configuration, prepare, decide. Never judges: the case does.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use trimtab_control::policy::{Answer, Call, MetricNeed, Observation, Policy, Preparation};
use trimtab_control::time::Span;
use trimtab_sandbox::{Allocator, Limits, Refusal, Sandbox, SandboxConfig, synthetic_observation};

use super::case::{Case, Expect};

/// A call may use so much more thread CPU than its two budgets: one epoch, and what the host does for it.
const SLACK: Duration = Duration::from_millis(250);

/// What one step came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    stage: String,
    code: String,
    message: String,
    facts: BTreeMap<&'static str, String>,
    took: Duration,
}

impl Outcome {
    fn refused(refusal: &Refusal) -> Outcome {
        Outcome::of(refusal.stage.as_str(), refusal.code, &refusal.to_string())
    }

    fn of(stage: &str, code: &str, message: &str) -> Outcome {
        let facts = BTreeMap::new();
        Outcome {
            stage: stage.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
            facts,
            took: Duration::ZERO,
        }
    }

    fn is(&self, expect: &Expect) -> bool {
        self.stage == expect.stage
            && self.code == expect.code
            && self.message.contains(&expect.message)
            && expect.facts.iter().all(|(key, value)| self.facts.get(key.as_str()) == Some(value))
    }
}

/// Limits for tests: the wall time that a machine which does other things too cannot make a guest's outcome of.
pub(super) fn patient() -> Limits {
    Limits { call_wall: Duration::from_mins(1), ..Limits::default() }
}

/// A sandbox of its own.
pub(super) fn sandbox(limits: Limits, allocator: Allocator) -> Sandbox {
    Sandbox::new(SandboxConfig { limits, allocator, ..SandboxConfig::default() }).unwrap()
}

/// A policy without faults, whose answer everybody knows.
pub(super) static GOOD: LazyLock<Vec<u8>> =
    LazyLock::new(|| trimtab_tests::corpus::text("{{include policy}}").unwrap());

/// Whether a sandbox took a case as it should, and in how much time.
pub(super) fn contained(case: &Case, wasm: &[u8], sandbox: &Sandbox) -> Result<(), String> {
    let outcomes = catch_unwind(AssertUnwindSafe(|| play(case, wasm, sandbox)))
        .unwrap_or_else(|_| vec![Outcome::of("host", "panic", "the host panicked")]);
    let as_expected = outcomes.len() == case.steps.len() && outcomes.iter().zip(&case.steps).all(|(o, e)| o.is(e));
    if !as_expected {
        return Err(format!("expected `{}`, it came to {outcomes:?}", case.expects));
    }
    let budget = sandbox.limits().call_cpu + sandbox.limits().start_cpu + SLACK;
    match outcomes.iter().find(|outcome| outcome.took > budget) {
        Some(late) => Err(format!("a call used {:?} of thread CPU: {late:?}", late.took)),
        None => Ok(()),
    }
}

/// A good module in the same sandbox still gives its answer.
pub(super) fn good_still_answers(sandbox: &Sandbox) -> Result<(), String> {
    let good = sandbox.admit(&GOOD).map_err(|refusal| format!("a good module is refused afterwards: {refusal}"))?;
    let call = good.decide("{}", &synthetic_observation(&Preparation::default()), &[]);
    match call.answer {
        Ok(Answer { targets, .. }) if targets.len() == 1 && targets[0].replicas == 3 => Ok(()),
        other => Err(format!("a good module answers {other:?} afterwards")),
    }
}

fn play(case: &Case, wasm: &[u8], sandbox: &Sandbox) -> Vec<Outcome> {
    let admitted = match sandbox.admit(wasm) {
        Ok(admitted) => admitted,
        Err(refusal) => return vec![Outcome::refused(&refusal)],
    };
    let config = serde_json::from_str(&case.config).unwrap();
    let begun = thread_cpu();
    if let Err(issues) = admitted.check_config(&config) {
        let message: Vec<String> = issues.iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect();
        let took = thread_cpu().saturating_sub(begun);
        return vec![Outcome { took, ..Outcome::of("config", "bad-config", &message.join("; ")) }];
    }
    let begun = thread_cpu();
    let prepared = admitted.prepare(&case.config);
    let took = thread_cpu().saturating_sub(begun);
    let preparation = match prepared {
        Ok(preparation) => preparation,
        Err(refusal) => return vec![Outcome { took, ..Outcome::refused(&refusal) }],
    };
    if case.steps[0].stage == "prepare" {
        let facts = BTreeMap::from([
            ("needs", preparation.needs.len().to_string()),
            ("attributes", preparation.attributes.len().to_string()),
        ]);
        return vec![Outcome { facts, took, ..Outcome::of("prepare", "ok", "") }];
    }
    if case.steps[0].stage == "describe" {
        let said = admitted.description();
        let facts = BTreeMap::from([
            ("version", said.version.len().to_string()),
            ("summary", said.summary.len().to_string()),
            ("attributes", said.attributes.len().to_string()),
        ]);
        return vec![Outcome { facts, ..Outcome::of("describe", "ok", &format!("{said:?}")) }];
    }
    let observation = observation(case, &preparation);
    let mut state = Vec::new();
    let mut outcomes = Vec::new();
    for _ in &case.steps {
        let (outcome, answer) = decide(&admitted, &case.config, &observation, &state);
        outcomes.push(outcome);
        match answer {
            Some(answer) => state = answer.state.unwrap_or(state),
            None => break,
        }
    }
    outcomes
}

/// Twice: whatever a guest keeps anywhere but in its state must not be there at its next call.
fn decide(policy: &dyn Policy, config: &str, seen: &Observation, state: &[u8]) -> (Outcome, Option<Answer>) {
    let begun = thread_cpu();
    let call = policy.decide(config, seen, state);
    let took = thread_cpu().saturating_sub(begun);
    let again = policy.decide(config, seen, state);
    let code = |call: &Call| call.answer.clone().map_err(|fault| fault.code.clone());
    if code(&call) != code(&again) {
        return (Outcome::of("decide", "differs", &format!("{call:?}, then {again:?}")), None);
    }
    let bounds: Vec<&str> = call.bounds.iter().map(|bound| bound.as_str()).collect();
    let mut facts = BTreeMap::from([("log", call.log.len().to_string()), ("bounds", bounds.join(","))]);
    let printable = |text: &str| !text.chars().any(char::is_control);
    if !call.log.iter().all(|line| line.message.len() <= 1024 && printable(&line.message)) {
        return (Outcome::of("decide", "unclean-log", ""), None);
    }
    match call.answer {
        Ok(answer) => {
            facts.insert("reason", answer.reason.len().to_string());
            facts.insert("notes", answer.notes.len().to_string());
            facts.insert("recheck", answer.recheck.map_or(0, |span| span.0).to_string());
            facts.insert("state", answer.state.as_ref().map_or(0, Vec::len).to_string());
            let replicas: Vec<String> = answer.targets.iter().map(|target| target.replicas.to_string()).collect();
            facts.insert("replicas", replicas.join(","));
            let texts = answer.notes.iter().flat_map(|(name, value)| [name, value]);
            if !texts.chain([&answer.reason]).all(|text| printable(text)) {
                return (Outcome::of("decide", "unclean-answer", ""), None);
            }
            (Outcome { facts, took, ..Outcome::of("decide", "ok", &answer.reason) }, Some(answer))
        }
        Err(fault) => (Outcome { facts, took, ..Outcome::of("decide", &fault.code, &fault.message) }, None),
    }
}

fn observation(case: &Case, preparation: &Preparation) -> Observation {
    let Some(series) = case.given.get("series") else { return synthetic_observation(preparation) };
    let need = MetricNeed {
        signal: "queue-depth".to_owned(),
        by: Vec::new(),
        within: String::new(),
        across: String::new(),
        step: Span(1000),
        window: Span(1000),
        required: true,
    };
    let mut seen = synthetic_observation(&Preparation { needs: vec![need; *series as usize], attributes: Vec::new() });
    let values = case.given.get("values").copied().unwrap_or(1) as usize;
    seen.series.iter_mut().for_each(|series| series.values = vec![1.0; values]);
    seen
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
