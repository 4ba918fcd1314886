//! Runs golden cases (docs/cases.md) the way the host would run them.
//!
//! For: the shipped policies, as modules and as plain Rust, and the guests that were written against the byte-level
//! contract. Never fills in a number that the case's format does not state.

mod written;

use std::path::{Path, PathBuf};

use serde_json::Value;
use trimtab_control::policy::{Answer, Observation, Preparation, Target, Tier};
use trimtab_sandbox::{Admitted, Refusal, Sandbox, SandboxConfig};

use written::{Case, Expect, Replicas};

/// Why a policy gave no answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    code: String,
    message: String,
}

impl Refused {
    pub(crate) fn code(&self) -> &str {
        &self.code
    }
}

/// Something that cases can be put to.
pub(crate) trait Subject {
    /// The host's check of a configuration, then the policy's own.
    fn prepare(&self, config: &Value) -> Result<Preparation, Refused>;
    /// One decision in a fresh instance.
    fn decide(&self, config: &str, seen: &Observation, state: &[u8]) -> Result<Answer, Refused>;
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        let issues: Vec<String> = refusal.issues.iter().map(|i| format!("{}: {}", i.path, i.message)).collect();
        Refused { code: refusal.code.into(), message: format!("{refusal} {}", issues.join("; ")) }
    }
}

/// The schema's word on a configuration, as a refusal.
pub(crate) fn fits(admitted: &Admitted, config: &Value) -> Result<(), Refused> {
    admitted.check_config(config).map_err(|issues| {
        let issues: Vec<String> = issues.iter().map(|i| format!("{}: {}", i.path, i.message)).collect();
        Refused { code: "bad-config".into(), message: issues.join("; ") }
    })
}

impl Subject for Admitted {
    fn prepare(&self, config: &Value) -> Result<Preparation, Refused> {
        fits(self, config)?;
        Ok(Admitted::prepare(self, &config.to_string())?)
    }

    fn decide(&self, config: &str, seen: &Observation, state: &[u8]) -> Result<Answer, Refused> {
        let call = trimtab_control::policy::Policy::decide(self, config, seen, state);
        call.answer.map_err(|fault| Refused { code: fault.code, message: fault.message })
    }
}

/// A sandbox with time enough for a machine that does other things too.
pub(crate) fn sandbox() -> Sandbox {
    let mut config = SandboxConfig::default();
    config.limits.call_wall = std::time::Duration::from_secs(10);
    Sandbox::new(config).unwrap()
}

/// The case files of a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

/// Plays every case of a file. What is wrong comes back, a line for each; and how many cases there were.
pub(crate) fn play(subject: &dyn Subject, file: &Path) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let cases = written::read(&text).unwrap_or_else(|problem| panic!("{}: {problem}", file.display()));
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(problem) = play_one(subject, case) {
            wrong.push(format!("{}: {}: {problem}", file.display(), case.name));
        }
    }
    (cases.len(), wrong)
}

fn play_one(subject: &dyn Subject, case: &Case) -> Result<(), String> {
    let steps = case.steps()?;
    let config = case.config.clone();
    let preparation = match subject.prepare(&config) {
        Ok(preparation) => preparation,
        Err(refused) => return is(&refused, &steps[0].1),
    };
    let mut state = case.state.clone().unwrap_or_default().into_bytes();
    let mut before = None;
    for (index, (seen, expect)) in steps.iter().enumerate() {
        let step = |problem: String| if steps.len() > 1 { format!("step {}: {problem}", index + 1) } else { problem };
        let observation = seen.observation(before, &preparation.needs).map_err(&step)?;
        before = Some(observation.now);
        let ask = || subject.decide(&config.to_string(), &observation, &state);
        let (answer, again) = (ask(), ask());
        if answer != again {
            return Err(step(format!("two calls gave two answers: {answer:?} and {again:?}")));
        }
        match answer {
            Ok(answer) => {
                fulfils(&answer, &observation, expect).map_err(step)?;
                state = answer.state.unwrap_or(state);
            }
            Err(refused) => is(&refused, expect).map_err(step)?,
        }
    }
    Ok(())
}

/// Whether a refusal is the one that was expected.
fn is(refused: &Refused, expect: &Expect) -> Result<(), String> {
    match &expect.error {
        Some(error) if error.code == refused.code && refused.message.contains(&error.message) => Ok(()),
        Some(error) => Err(format!("refused with {refused:?}, expected {} with `{}`", error.code, error.message)),
        None => Err(format!("refused with {refused:?}")),
    }
}

/// Whether an answer has everything that is stated.
fn fulfils(answer: &Answer, observation: &Observation, expect: &Expect) -> Result<(), String> {
    if let Some(error) = &expect.error {
        return Err(format!("answered {answer:?}, expected a refusal with {}", error.code));
    }
    let number =
        |of: &[Target], pool: &str, tier| of.iter().rfind(|t| t.pool == pool && t.tier == tier).map(|t| t.replicas);
    for (pool, replicas) in &expect.targets {
        let wanted = match *replicas {
            Replicas::Serving(serving) => vec![(Tier::Serving, serving)],
            Replicas::Tiers { serving, standby } => [(Tier::Serving, serving), (Tier::Standby, standby)]
                .into_iter()
                .filter_map(|(t, n)| Some((t, n?)))
                .collect(),
        };
        for (tier, wanted) in wanted {
            let kept = number(&observation.proposed, pool, tier);
            let got = number(&answer.targets, pool, tier).or(kept);
            if got != Some(wanted) {
                let (tier, reason) = (tier.as_str(), &answer.reason);
                return Err(format!("{pool} {tier}: {got:?}, expected {wanted} (it says: {reason})"));
            }
        }
    }
    if !answer.reason.contains(&expect.reason) {
        return Err(format!("reason `{}`, expected to find `{}`", answer.reason, expect.reason));
    }
    for (name, text) in &expect.notes {
        let got = answer.notes.iter().find(|(n, _)| n == name).map(|(_, t)| t);
        if got != Some(text) {
            return Err(format!("note {name}: {got:?}, expected `{text}`"));
        }
    }
    let recheck = expect.recheck.as_deref().map(written::span).transpose()?;
    if recheck.is_some() && answer.recheck != recheck {
        return Err(format!("recheck {:?}, expected {recheck:?}", answer.recheck));
    }
    Ok(())
}
