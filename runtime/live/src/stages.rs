//! Which module serves each stage of a workload: the best candidate that accepts the stage's configuration.
//!
//! For: the daemon at every start and swap, and `check`, which must refuse exactly what the daemon would. Calls modules
//! and so takes as long as they do: never on a tick's way. Never changes a workload.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use trimtab_control::Slot;
use trimtab_control::config::{Module, ModuleRef};
use trimtab_control::policy::{MetricNeed, Observation, Policy, Preparation};
use trimtab_control::signals::answerable;
use trimtab_sandbox::{Admitted, Limits, Refusal, Stage, synthetic_observation};

use crate::manifest::{Place, Problem, Scaler, Step};
use crate::modules::{COMPILING, Candidate, Entry, Key, Snapshot};

/// A stage's module or that of its fallback, as the manifest names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The stage's name.
    pub stage: String,
    /// Which module of it.
    pub slot: Slot,
    /// The module and its configuration.
    pub module: ModuleRef,
}

/// Every module that a workload asks for, in the order of its chain.
pub fn wishes(scaler: &Scaler) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for stage in &scaler.config.stages {
        let slots = stage.slots();
        wishes.extend(slots.map(|(slot, module)| Wish { stage: stage.name.clone(), slot, module: module.clone() }));
    }
    wishes
}

/// What came of a wish.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The wish.
    pub wish: Wish,
    /// The name it was resolved to; none: there is no such module.
    pub key: Option<Key>,
    /// The candidate that serves, with what it needs; none: no candidate fits.
    pub serves: Option<(Admitted, Preparation)>,
    /// Every candidate that was tried: its digest, and why it was refused.
    pub verdicts: Vec<(String, Result<(), Refusal>)>,
    /// Why the newest version does not serve, where it does not.
    pub refusal: Option<Refusal>,
}

/// What a probe decides on: the observation and state that a stage would get now, given what its module needs and the
/// version of the module's state.
pub type Look<'a> = &'a dyn Fn(&Wish, &Preparation, u32) -> (Observation, Vec<u8>);

/// A made-up observation, for a workload that does not run.
pub fn made_up(_: &Wish, preparation: &Preparation, _: u32) -> (Observation, Vec<u8>) {
    (synthetic_observation(preparation), Vec::new())
}

/// Versions that a workload will not have any more, by digest.
pub type Rejected = BTreeMap<String, Refusal>;

/// Finds the module for one wish.
pub fn fit(scaler: &Scaler, wish: &Wish, snapshot: &Snapshot, look: Look<'_>, rejected: &Rejected) -> Fit {
    let mut fit = Fit { wish: wish.clone(), key: None, serves: None, verdicts: Vec::new(), refusal: None };
    let Some(entry) = snapshot.resolve(&scaler.config.id.namespace, &wish.module.policy) else {
        fit.refusal = Some(missing(&wish.module.policy, snapshot));
        return fit;
    };
    fit.key = Some(entry.key.clone());
    let candidates: Vec<&Candidate> = match &wish.module.digest {
        None => entry.candidates.iter().collect(),
        Some(pin) => entry.candidates.iter().filter(|candidate| candidate.digest() == pin).collect(),
    };
    if candidates.is_empty() {
        fit.refusal = Some(nothing_serves(entry, wish));
        return fit;
    }
    let terms = Terms { signals: &scaler.signals(), limits: snapshot.limits(&scaler.config.id.namespace), look };
    let newest = candidates[0].digest();
    let (given_up, rest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|c| rejected.contains_key(c.digest()));
    for candidate in rest {
        if try_candidate(&mut fit, candidate, &terms) {
            break;
        }
    }
    for candidate in given_up {
        // One that failed too often is better than none, and is not called while it fails.
        if fit.serves.is_none() {
            try_candidate(&mut fit, candidate, &terms);
        } else if let Some(refusal) = rejected.get(candidate.digest()) {
            fit.verdicts.push((candidate.digest().to_owned(), Err(refusal.clone())));
            if candidate.digest() == newest {
                fit.refusal = Some(refusal.clone());
            }
        }
    }
    // A file that is no module at all, while an earlier version serves.
    if fit.refusal.is_none()
        && wish.module.digest.is_none()
        && let Some(problem) = &entry.problem
    {
        fit.refusal = Some(problem.clone());
    }
    fit
}

/// What a candidate is tried under.
struct Terms<'a> {
    /// What sources give.
    signals: &'a [&'a str],
    /// Of the tenant's calls.
    limits: &'a Arc<Limits>,
    look: Look<'a>,
}

/// Notes what came of a candidate. True: it serves.
fn try_candidate(fit: &mut Fit, candidate: &Candidate, terms: &Terms<'_>) -> bool {
    let attempt = || {
        let admitted = candidate.admitted()?.under(terms.limits);
        let preparation = try_one(&admitted, &fit.wish, terms.signals, terms.look)?;
        Ok((admitted, preparation))
    };
    let tried = catch_unwind(AssertUnwindSafe(attempt))
        .unwrap_or_else(|_| Err(Refusal::new(Stage::Probe, "host", "trying it failed inside the daemon; see its log")));
    fit.verdicts.push((candidate.digest().to_owned(), tried.as_ref().map(|_| ()).map_err(Refusal::clone)));
    match tried {
        Ok((admitted, preparation)) => fit.serves = Some((admitted, preparation)),
        Err(refusal) => drop(fit.refusal.get_or_insert(refusal)),
    }
    fit.serves.is_some()
}

fn try_one(admitted: &Admitted, wish: &Wish, signals: &[&str], look: Look<'_>) -> Result<Preparation, Refusal> {
    let config: serde_json::Value = serde_json::from_str(&wish.module.config).map_err(|error| {
        Refusal::new(Stage::Config, "bad-config", format!("the configuration is not JSON: {error}"))
    })?;
    if let Err(issues) = admitted.check_config(&config) {
        let mut refusal = Refusal::new(Stage::Config, "bad-config", config_message(&issues));
        refusal.issues = issues;
        return Err(refusal.hint(format!("`trimtab policy inspect {}` shows the schema", wish.module.policy)));
    }
    let preparation = admitted.prepare(&wish.module.config)?;
    if let Some(need) = preparation.needs.iter().find(|need| need.required && !answered(need, signals)) {
        return Err(Refusal::new(
            Stage::Prepare,
            "missing-source",
            format!("it needs the signal `{}`, which no source of this workload gives", need.signal),
        )
        .hint(format!("add an entry to `metrics` that gives `{}` (an `engine`, or an `exposition`)", need.signal)));
    }
    let (observation, state) = look(wish, &preparation, admitted.description().state_version);
    admitted.probe(&wish.module.config, &observation, &state)?;
    Ok(preparation)
}

fn config_message(issues: &[trimtab_sandbox::ConfigIssue]) -> String {
    let lines: Vec<String> = issues
        .iter()
        .take(4)
        .map(|i| if i.path.is_empty() { i.message.clone() } else { format!("{}: {}", i.path, i.message) })
        .collect();
    format!("the configuration does not fit the schema: {}", lines.join("; "))
}

fn answered(need: &MetricNeed, signals: &[&str]) -> bool {
    answerable(&need.signal, &|raw| signals.contains(&raw))
}

fn missing(name: &str, snapshot: &Snapshot) -> Refusal {
    let mut known: Vec<&str> = snapshot.entries().map(|entry| entry.key.name.as_str()).collect();
    known.dedup();
    let nearest = known.iter().copied().map(|k| (strsim::damerau_levenshtein(k, name), k)).min();
    let hint = match nearest {
        Some((distance, near)) if distance <= 2 => format!("did you mean `{near}`?"),
        _ => format!("put {name}.wasm into a policies directory, or use one of: {}", known.join(", ")),
    };
    Refusal::new(Stage::Read, "not-found", format!("there is no policy `{}`", trimtab_sandbox::clean(name, 64)))
        .hint(hint)
}

fn nothing_serves(entry: &Entry, wish: &Wish) -> Refusal {
    if let Some(pin) = &wish.module.digest {
        let there: Vec<&str> = entry.candidates.iter().map(Candidate::digest).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        let message = format!("no version of `{}` has the pinned digest {pin}; there are: {there}", entry.key.name);
        return Refusal::new(Stage::Read, "pinned", message).hint("change `digest`, or put that version back");
    }
    match &entry.problem {
        Some(problem) => problem.clone(),
        None => Refusal::new(Stage::Read, "not-found", format!("nothing serves as `{}`", entry.key.name))
            .hint("put a good version into the policies directory"),
    }
}

impl Fit {
    /// What the controller is given: the module, wrapped by `wrap` (which may measure its calls).
    pub fn module(&self, wrap: impl FnOnce(Admitted) -> Arc<dyn Policy>) -> Option<Module> {
        let (admitted, preparation) = self.serves.as_ref()?;
        Some(Module {
            digest: admitted.digest().to_owned(),
            state_version: admitted.description().state_version,
            preparation: preparation.clone(),
            policy: wrap(admitted.clone()),
        })
    }

    /// The workload can start without it.
    pub fn is_needless(&self) -> bool {
        self.wish.slot == Slot::Shadow
    }

    /// Nothing serves only because the module is being compiled.
    pub fn is_awaited(&self) -> bool {
        !self.is_needless()
            && self.serves.is_none()
            && self.refusal.as_ref().is_some_and(|refusal| refusal.code == COMPILING)
    }

    /// What is wrong where nothing serves, placed in the manifest; empty where something does. A shadow that is not there
    /// keeps nothing from being started: see [`Fit::shadow_problems`].
    pub fn problems(&self, scaler: &Scaler) -> Vec<Problem> {
        if self.is_needless() { Vec::new() } else { self.missing(scaler) }
    }

    /// The same for a shadow.
    pub fn shadow_problems(&self, scaler: &Scaler) -> Vec<Problem> {
        if self.is_needless() { self.missing(scaler) } else { Vec::new() }
    }

    fn missing(&self, scaler: &Scaler) -> Vec<Problem> {
        match &self.refusal {
            Some(refusal) if self.serves.is_none() => self.placed(refusal, scaler),
            _ => Vec::new(),
        }
    }

    fn placed(&self, refusal: &Refusal, scaler: &Scaler) -> Vec<Problem> {
        let places = scaler.places.get(&self.wish.stage);
        let config_place = |pointer: &str| -> Place {
            match (places, self.wish.slot) {
                (Some(places), Slot::Stage) => places.config(pointer),
                (Some(places), Slot::Fallback) => places.fallback(pointer),
                (Some(places), Slot::Shadow) => places.shadow.clone(),
                (None, _) => scaler.place.clone(),
            }
        };
        let what = if self.wish.slot == Slot::Shadow { "shadow" } else { "policy" };
        let subject = format!("{what} `{}`", self.wish.module.policy);
        let stage = Step::Admission(refusal.stage);
        let of_config = matches!(refusal.stage, Stage::Config | Stage::Prepare);
        let hint = match refusal.hint.as_str() {
            "" if of_config => {
                format!("change it; `trimtab policy inspect {}` shows what it takes", self.wish.module.policy)
            }
            "" => "mend the module, or name another".to_owned(),
            hint => hint.to_owned(),
        };
        if refusal.issues.is_empty() {
            let place = match places {
                _ if of_config => config_place(""),
                Some(places) if self.wish.slot == Slot::Shadow => places.shadow.clone(),
                Some(places) => places.policy.clone(),
                None => scaler.place.clone(),
            };
            return vec![Problem { place, stage, message: format!("{subject}: {}", refusal.message), hint }];
        }
        let issues = refusal.issues.iter();
        issues
            .map(|issue| {
                let key = if issue.path.is_empty() { String::new() } else { format!("`{}` ", issue.path) };
                let message = format!("{subject}: config {key}{}", issue.message);
                Problem { place: config_place(&issue.path), stage, message, hint: hint.clone() }
            })
            .collect()
    }
}

/// Everything that keeps a workload from being started with these modules; and the fits, one for each wish.
pub fn check(scaler: &Scaler, snapshot: &Snapshot) -> (Vec<Fit>, Vec<Problem>) {
    let fits: Vec<Fit> =
        wishes(scaler).iter().map(|wish| fit(scaler, wish, snapshot, &made_up, &Rejected::new())).collect();
    let problems = fits.iter().flat_map(|fit| fit.problems(scaler)).collect();
    (fits, problems)
}
