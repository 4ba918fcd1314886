//! What is believed of a preparation.
//!
//! For: the caps of the contract on what a policy may ask the host to gather, as an admission message instead of a
//! surprise at run time. Never decides whether a signal exists: that is the manifest's business.

use trimtab_control::policy::{MetricNeed, Preparation};
use trimtab_control::time::Span;

use crate::bindings::trimtab::policy::types as wit;
use crate::limits::Limits;
use crate::refusal::{Refusal, Stage};
use crate::text::clean;

/// Finest grid, milliseconds.
const MIN_STEP: u64 = 1000;
/// Labels to keep apart.
const MAX_BY: usize = 8;
/// Bytes of a signal's or label's name.
const NAME_BYTES: usize = 128;
/// Open texts of a preparation.
const MAX_ATTRIBUTES: usize = 32;

/// Checks every need against the caps.
pub(crate) fn check(preparation: wit::Preparation, limits: &Limits) -> Result<Preparation, Refusal> {
    let count = preparation.needs.len();
    if count > limits.needs {
        return Err(too_much(format!("it asks for {count} series, and a stage may ask for {}", limits.needs)));
    }
    let needs = preparation.needs.into_iter().map(|need| check_need(need, limits)).collect::<Result<_, _>>()?;
    let attribute =
        |(name, value): (String, String)| (clean(&name, limits.note_bytes), clean(&value, limits.note_bytes));
    let attributes = preparation.attributes.into_iter().take(MAX_ATTRIBUTES).map(attribute).collect();
    Ok(Preparation { needs, attributes })
}

fn check_need(need: wit::MetricNeed, limits: &Limits) -> Result<MetricNeed, Refusal> {
    if limits.controls.needs {
        check_words(&need)?;
    }
    if need.step > 0 && need.step < MIN_STEP {
        return Err(too_much(format!("{}: a step of {} ms is finer than {MIN_STEP} ms", signal(&need), need.step)));
    }
    if need.window > limits.window.0 {
        let (window, most) = (Span(need.window), limits.window);
        return Err(too_much(format!("{}: a window of {window} reaches back farther than {most}", signal(&need))));
    }
    if need.step > 0 && need.window.div_ceil(need.step) > limits.steps {
        let steps = need.window.div_ceil(need.step);
        return Err(too_much(format!("{}: {steps} steps, and there may be {}", signal(&need), limits.steps)));
    }
    Ok(MetricNeed {
        signal: need.signal,
        by: need.by,
        within: need.within,
        across: need.across,
        step: Span(need.step),
        window: Span(need.window),
        required: need.required,
    })
}

/// Its signal, as it may be shown.
fn signal(need: &wit::MetricNeed) -> String {
    clean(&need.signal, NAME_BYTES)
}

/// Names that are names, and aggregations that there are.
fn check_words(need: &wit::MetricNeed) -> Result<(), Refusal> {
    let signal = signal(need);
    if need.signal.is_empty() || need.signal != signal {
        return Err(bad_need(&format!("`{signal}` is no name of a signal: 1 to {NAME_BYTES} printable bytes")));
    }
    if need.by.len() > MAX_BY || need.by.iter().any(|label| label.is_empty() || clean(label, NAME_BYTES) != *label) {
        return Err(bad_need(&format!("{signal}: `by` takes at most {MAX_BY} names of labels")));
    }
    if !matches!(need.within.as_str(), "" | "last" | "mean" | "max" | "rate") {
        let within = clean(&need.within, 32);
        return Err(bad_need(&format!("{signal}: within `{within}` is unknown; there are last, mean, max and rate")));
    }
    if !is_across(&need.across) {
        let across = clean(&need.across, 32);
        return Err(bad_need(&format!(
            "{signal}: across `{across}` is unknown; there are sum, mean, max, min, p1 to p99"
        )));
    }
    Ok(())
}

fn is_across(name: &str) -> bool {
    let percentile =
        || name.strip_prefix('p').and_then(|n| n.parse::<u8>().ok()).is_some_and(|n| (1..=99).contains(&n));
    matches!(name, "" | "sum" | "mean" | "max" | "min") || percentile()
}

fn too_much(message: String) -> Refusal {
    Refusal::new(Stage::Prepare, "too-much", message).hint("ask for fewer series, a coarser step or a shorter window")
}

fn bad_need(message: &str) -> Refusal {
    Refusal::new(Stage::Prepare, "bad-answer", message)
}
