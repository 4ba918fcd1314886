//! A decision, told as a story: what was seen, who proposed what and why, what the guardrails made of it, what happened.
//!
//! For: `explain` on a terminal. Never fetches: it is given the decision.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::admin::{DecisionStory, Guardrail, InputStory, LogStory, PoolStep, ShadowStory, StageStory, TargetStory};
use crate::output::{Align, Paint, Table, ago, clean, number, seconds, short_digest};

/// The whole story of one decision.
pub(crate) fn story(workload: &str, decision: &DecisionStory, paint: Paint) -> String {
    let mut out = String::new();
    let when = ago(&decision.at);
    let heading = format!("{workload}  decision {}", clean(&decision.id));
    let _ = writeln!(out, "{}  {}  {}", paint.strong(&heading), clean(&decision.at), paint.faint(&when));
    for pool in &decision.pools {
        let _ = writeln!(out, "  {}", pool_line(pool, paint));
    }
    let _ = writeln!(out, "\n{}", paint.strong("Inputs"));
    out.push_str(&inputs(&decision.inputs));
    let _ = writeln!(out, "\n{}", paint.strong("Stages"));
    if decision.stages.is_empty() {
        out.push_str("  none\n");
    }
    for (i, stage) in decision.stages.iter().enumerate() {
        out.push_str(&stage_story(i + 1, stage, paint));
    }
    let _ = writeln!(out, "\n{}", paint.strong("Guardrails"));
    out.push_str(&guardrails(&decision.guardrails, paint));
    let _ = writeln!(out, "\n{}", paint.strong("Outcome"));
    for pool in &decision.pools {
        let _ = writeln!(out, "  {}: {}", clean(&pool.name), outcome(pool, paint));
    }
    out
}

fn change(from: u32, to: u32) -> String {
    if from == to { format!("stays at {to}") } else { format!("{from} -> {to}") }
}

fn pool_line(pool: &PoolStep, paint: Paint) -> String {
    let mut line = format!("{}: {}", clean(&pool.name), change(pool.from, pool.to));
    if pool.standby_from != 0 || pool.standby_to != 0 {
        let _ = write!(line, ", standby {}", change(pool.standby_from, pool.standby_to));
    }
    if pool.from == pool.to && pool.standby_from == pool.standby_to { line } else { paint.strong(&line) }
}

fn outcome(pool: &PoolStep, paint: Paint) -> String {
    let Some(outcome) = &pool.outcome else { return paint.faint("the target has not answered yet") };
    let state = match outcome.state.as_str() {
        "applied" | "unchanged" | "observed" => paint.good(&clean(&outcome.state)),
        "refused" | "failed" => paint.bad(&clean(&outcome.state)),
        _ => paint.odd(&clean(&outcome.state)),
    };
    if outcome.message.is_empty() { state } else { format!("{state}: {}", clean(&outcome.message)) }
}

fn labelled(input: &InputStory) -> String {
    if input.labels.is_empty() {
        return input.signal.clone();
    }
    let labels: Vec<String> = input.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{}{{{}}}", input.signal, labels.join(","))
}

fn inputs(inputs: &[InputStory]) -> String {
    if inputs.is_empty() {
        return "  none: the chain asks for no series\n".to_owned();
    }
    let columns = [
        ("SIGNAL", Align::Left),
        ("VALUE", Align::Right),
        ("AGE", Align::Right),
        ("COVERAGE", Align::Right),
        ("", Align::Left),
    ];
    let mut table = Table::indented(&columns, 2);
    for input in inputs {
        table.row([
            labelled(input),
            input.value.map_or_else(|| "-".to_owned(), number),
            input.age_seconds.map_or_else(|| "never".to_owned(), seconds),
            input.coverage.map_or_else(|| "-".to_owned(), |c| format!("{:.0}%", c * 100.0)),
            input.kind.clone(),
        ]);
    }
    table.render()
}

fn stage_story(number: usize, stage: &StageStory, paint: Paint) -> String {
    let mut out = String::new();
    let policy = if stage.policy == stage.name { String::new() } else { format!("policy {} ", clean(&stage.policy)) };
    let digest = if stage.digest.is_empty() { "not loaded".to_owned() } else { short_digest(&stage.digest) };
    let about = paint.faint(&format!("({policy}{digest})"));
    let _ = writeln!(out, "  {number} {} {about}", paint.strong(&clean(&stage.name)));
    if let Some(error) = &stage.error {
        let line = format!("no answer, {}: {}", clean(&error.code), clean(&error.message));
        let _ = writeln!(out, "      {}", paint.bad(&line));
    }
    if !stage.targets.is_empty() {
        let _ = writeln!(out, "      proposes {}", targets(&stage.targets));
    }
    if !stage.reason.is_empty() {
        let _ = writeln!(out, "      because {}", clean(&stage.reason));
    }
    if !stage.notes.is_empty() {
        let notes: Vec<String> = stage.notes.iter().map(|(k, v)| clean(&format!("{k}={v}"))).collect();
        let _ = writeln!(out, "      {}", paint.faint(&notes.join("  ")));
    }
    for line in &stage.log {
        let text = match line {
            LogStory::Text(text) => clean(text),
            LogStory::Levelled { level, message } => clean(&format!("{level}: {message}")),
        };
        let _ = writeln!(out, "      log {text}");
    }
    if let Some(shadow) = &stage.shadow {
        out.push_str(&shadow_story(shadow, stage, paint));
    }
    out
}

fn targets(targets: &[TargetStory]) -> String {
    let targets = targets.iter().map(|t| clean(&format!("{} {} {}", t.pool, t.tier, t.replicas)));
    targets.collect::<Vec<_>>().join(", ")
}

/// What would have been proposed, where that is something else.
fn shadow_story(shadow: &ShadowStory, stage: &StageStory, paint: Paint) -> String {
    let digest = if shadow.digest.is_empty() { "not loaded".to_owned() } else { short_digest(&shadow.digest) };
    let name = format!("shadow {} {}", clean(&shadow.policy), paint.faint(&format!("({digest})")));
    if let Some(error) = &shadow.error {
        let line = format!("no answer, {}: {}", clean(&error.code), clean(&error.message));
        return format!("      {name} {}\n", paint.odd(&line));
    }
    let same = shadow.targets == stage.targets;
    let said =
        if same { "would propose the same".to_owned() } else { format!("would propose {}", targets(&shadow.targets)) };
    let said = if same { said } else { paint.odd(&said) };
    let reason = if shadow.reason.is_empty() { String::new() } else { format!(" because {}", clean(&shadow.reason)) };
    format!("      {name} {said}{reason}\n")
}

/// Those that bit, one line each; those that looked and let pass, together in one.
fn guardrails(rules: &[Guardrail], paint: Paint) -> String {
    let bites = |g: &&Guardrail| g.from != g.to || g.standby_from != g.standby_to;
    let columns = [("", Align::Left), ("", Align::Left), ("", Align::Left), ("", Align::Left)];
    let mut table = Table::indented(&columns, 2);
    for rule in rules.iter().filter(bites) {
        let mut moved = change(rule.from, rule.to);
        if rule.standby_from != rule.standby_to {
            let _ = write!(moved, ", standby {}", change(rule.standby_from, rule.standby_to));
        }
        table.row([rule.rule.clone(), rule.pool.clone(), moved, rule.why.clone()]);
    }
    let mut out = if table.is_empty() { "  none bit\n".to_owned() } else { paint.odd(&table.render()) };
    let mut passed: Vec<&str> = rules.iter().filter(|g| !bites(g)).map(|g| g.rule.as_str()).collect();
    passed.dedup();
    if !passed.is_empty() {
        let _ = writeln!(out, "  {}", paint.faint(&format!("let pass: {}", clean(&passed.join(", ")))));
    }
    out
}
