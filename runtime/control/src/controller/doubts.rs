//! Why a pool may not go down: bad data, or a stage that gave no answer.
//!
//! For: one sentence per fault that names the signals and the replicas, for the guardrail and for people. Never decides.

use std::collections::{BTreeMap, BTreeSet};

use super::Controller;
use crate::decision::InputKind;
use crate::policy::MetricNeed;
use crate::sample::ReplicaState;
use crate::series::{Answered, MAX_SERIES};
use crate::time::Span;

/// Most faults told in one line.
const MOST_FAULTS: usize = 4;

impl Controller {
    /// Why each pool may not go down; a pool that may is not named. `needs` are those of the chain.
    pub(super) fn doubts(
        &self,
        needs: &[MetricNeed],
        answered: &[Vec<Answered>],
        failed: Option<&String>,
    ) -> BTreeMap<String, String> {
        let seen = self.windows.seen();
        let ready = |pool: &str| self.fleet.count(pool, ReplicaState::Ready);
        let someone = self.config.pools.iter().any(|p| ready(&p.name) > 0);
        let mut bad = Vec::new();
        let mut uses_any = false;
        for (need, series) in needs.iter().zip(answered).filter(|(need, _)| in_use(need, seen)) {
            uses_any = true;
            let never = !was_seen(&need.signal, seen);
            if series.is_empty() {
                bad.push((
                    format!("more than {MAX_SERIES} series: all of it was left out"),
                    need.signal.as_str(),
                    None,
                ));
            }
            for one in series {
                // A pool that was scaled to zero has nobody to ask; that is no reason to hold the others. Nor is one
                // whose replicas are all silent. What names no pool speaks for all of them.
                let pool = one.input.labels.iter().find(|(name, _)| name == "pool").map(|(_, pool)| pool.as_str());
                let pool = pool.filter(|pool| !pool.is_empty());
                let asked = pool.map_or(someone, |pool| ready(pool) > 0);
                let only = pool.filter(|_| one.input.kind == InputKind::Missing);
                bad.extend(complaint(one, need, never, asked).map(|fault| (fault, need.signal.as_str(), only)));
            }
        }
        self.config
            .pools
            .iter()
            .filter_map(|pool| {
                let nobody = uses_any && ready(&pool.name) == 0 && self.present(&pool.name).serving > 0;
                let about = bad.iter().filter(|(.., only)| only.is_none_or(|only| only == pool.name));
                let why = failed.cloned().or_else(|| told(about.map(|(fault, signal, _)| (fault.as_str(), *signal))));
                let why = why.or_else(|| nobody.then(|| "no replica is ready, so there is no data".to_owned()))?;
                Some((pool.name.clone(), why))
            })
            .collect()
    }
}

/// What is wrong, each fault once with the signals it concerns; none: nothing is.
fn told<'a>(faults: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for (fault, signal) in faults {
        match found.iter_mut().find(|(known, _)| *known == fault) {
            Some((_, signals)) if signals.contains(&signal) => {}
            Some((_, signals)) => signals.push(signal),
            None => found.push((fault, vec![signal])),
        }
    }
    let more = found.len().saturating_sub(MOST_FAULTS);
    let mut lines: Vec<String> =
        found.iter().take(MOST_FAULTS).map(|(fault, signals)| format!("{}: {fault}", signals.join(", "))).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Whether a signal ever had a value, ready-made or from all its parts.
fn was_seen(signal: &str, seen: &BTreeSet<String>) -> bool {
    crate::signals::answerable(signal, &|raw| seen.contains(raw))
}

/// Whether the chain uses the series a need stands for: required, or optional and once seen.
pub(super) fn in_use(need: &MetricNeed, seen: &BTreeSet<String>) -> bool {
    need.required || was_seen(&need.signal, seen)
}

/// What is wrong with a series, to follow its name; none: it is good enough to go down by.
fn complaint(answered: &Answered, need: &MetricNeed, never: bool, someone: bool) -> Option<String> {
    use crate::decision::InputKind::{Fresh, Missing, Partial, Reset, Stale, Suspicious};
    let input = &answered.input;
    let age = input.age.unwrap_or(Span(0));
    let fault = match input.kind {
        Fresh | Reset if answered.cut => {
            format!("more than {MAX_SERIES} series: part of it was left out")
        }
        Fresh | Reset => return None,
        Missing if !(someone || (never && need.required)) => return None,
        Missing if answered.late.is_empty() => "no data".to_owned(),
        Missing => format!("no data from {}", first_few(answered.late.iter().cloned())),
        Stale if answered.garbled.is_empty() => {
            format!("stale, {age} old (from {})", first_few(answered.late.iter().cloned()))
        }
        Stale => {
            format!("stale, {age} old (no possible number from {})", first_few(answered.garbled.iter().cloned()))
        }
        Partial if answered.gap => {
            let missed = if answered.late.is_empty() { &answered.garbled } else { &answered.late };
            format!("no answer from {}", first_few(missed.iter().cloned()))
        }
        Partial => {
            let share = input.coverage * 100.0;
            format!("only {share:.0} % of the replicas answer, not {}", first_few(answered.late.iter().cloned()))
        }
        Suspicious => {
            let frozen = answered.frozen.iter();
            let frozen = frozen.map(|(id, still)| format!("{id} works, and its counters have stood still for {still}"));
            let garbled = answered.garbled.iter().map(|id| format!("no possible number from {id}"));
            format!("suspicious: {}", first_few(frozen.chain(garbled)))
        }
    };
    Some(fault)
}

/// At most three, and how many more.
pub(super) fn first_few(mut all: impl Iterator<Item = String>) -> String {
    let few: Vec<String> = all.by_ref().take(3).collect();
    let more = all.count();
    if more > 0 { format!("{} and {more} more", few.join(", ")) } else { few.join(", ") }
}
