//! Whether what was computed is what was recorded, told as a table or as JSON.
//!
//! For: the first difference, and everything that is damaged or missing, by file and place. Never computes.

use std::fmt::Write as _;

use serde_json::{Value, json};
use trimtab_control::decision::Decision;
use trimtab_control::journal::{Numbers, Part};
use trimtab_live::journal::{Difference, Flaw, Report, Workload};

use super::comparison::{self, Comparison};
use super::shown;
use crate::output::{Align, Paint, Table, bytes, clean};

/// What came of one workload.
pub(super) struct Verdict {
    namespace: String,
    name: String,
    report: Report,
}

impl Verdict {
    pub(super) fn of(workload: &Workload, report: Report) -> Verdict {
        Verdict { namespace: workload.id.namespace.clone(), name: workload.id.name.clone(), report }
    }

    pub(super) fn is_identical(&self) -> bool {
        self.report.is_identical()
    }

    /// Nothing is damaged or missing.
    pub(super) fn is_whole(&self) -> bool {
        !self.report.flaws.iter().any(Flaw::is_serious)
    }
}

/// `-o json`.
pub(super) fn page(verdicts: &[Verdict], comparisons: Option<&[Comparison]>) -> Value {
    let workload = |(index, verdict): (usize, &Verdict)| {
        let report = &verdict.report;
        let mut page = json!({
            "namespace": verdict.namespace,
            "name": verdict.name,
            "segments": report.segments,
            "bytes": report.bytes,
            "decisions": report.ticks,
            "from": report.span.map(|(from, _)| shown(from)),
            "to": report.span.map(|(_, to)| shown(to)),
            "flaws": report.flaws.iter().map(flaw).collect::<Vec<_>>(),
        });
        match comparisons {
            Some(comparisons) => page["pools"] = comparison::page(&comparisons[index]),
            None => {
                page["identical"] = report.is_identical().into();
                page["different"] = report.different.into();
                page["firstDifference"] = report.first.as_ref().map_or(Value::Null, difference);
            }
        }
        page
    };
    let workloads: Vec<Value> = verdicts.iter().enumerate().map(workload).collect();
    json!({"openLoop": comparisons.is_some(), "workloads": workloads})
}

fn flaw(flaw: &Flaw) -> Value {
    let kind = match flaw {
        Flaw::Damage { .. } => "damage",
        Flaw::Torn { .. } => "torn",
        Flaw::Changed { .. } => "changed",
        Flaw::Missing { .. } => "missing",
        Flaw::Gap { .. } => "gap",
        Flaw::Misplaced { .. } => "misplaced",
        Flaw::State { .. } => "state",
        Flaw::Module { .. } => "module",
        _ => "unreadable",
    };
    json!({"kind": kind, "serious": flaw.is_serious(), "message": flaw.to_string()})
}

fn difference(difference: &Difference) -> Value {
    let Difference { file, part, recorded, decision } = difference;
    let one = |(pool, n): (String, Numbers)| json!({"pool": pool, "from": n.from, "to": n.to, "standbyFrom": n.standby_from, "standbyTo": n.standby_to});
    json!({
        "file": file.display().to_string(),
        "decision": decision.id,
        "at": shown(decision.at),
        "part": named(*part, decision),
        "recorded": recorded.iter().cloned().map(one).collect::<Vec<_>>(),
        "computed": computed(decision).into_iter().map(one).collect::<Vec<_>>(),
    })
}

/// A part, with the name of its stage.
fn named(part: Part, decision: &Decision) -> String {
    match part {
        Part::Stage(index) => match decision.stages.get(index) {
            Some(stage) => format!("stage {}", stage.name),
            None => part.to_string(),
        },
        part => part.to_string(),
    }
}

fn computed(decision: &Decision) -> Vec<(String, Numbers)> {
    decision.pools.iter().map(|pool| (pool.name.clone(), pool.into())).collect()
}

/// One row for each workload, then what is wrong. `judges`: whether being the same is the question.
pub(super) fn table(verdicts: &[Verdict], judges: bool, paint: Paint) -> String {
    let columns = [
        ("WORKLOAD", Align::Left),
        ("SEGMENTS", Align::Right),
        ("SIZE", Align::Right),
        ("DECISIONS", Align::Right),
        ("FROM", Align::Left),
        ("TO", Align::Left),
        (if judges { "RESULT" } else { "" }, Align::Left),
    ];
    let mut table = Table::new(&columns);
    for Verdict { namespace, name, report } in verdicts {
        let result = match report.different {
            _ if !judges => String::new(),
            0 if report.is_identical() => "identical".to_owned(),
            0 => "damaged or incomplete".to_owned(),
            n => format!("{n} differ"),
        };
        let (from, to) = report.span.map_or_else(Default::default, |(from, to)| (shown(from), shown(to)));
        table.row([
            format!("{namespace}/{name}"),
            report.segments.to_string(),
            bytes(usize::try_from(report.bytes).unwrap_or(usize::MAX)),
            report.ticks.to_string(),
            from,
            to,
            result,
        ]);
    }
    let mut out = table.render();
    for Verdict { namespace, name, report } in verdicts {
        let id = format!("{namespace}/{name}");
        if let Some(first) = report.first.as_ref().filter(|_| judges) {
            let line = first_difference(&id, first);
            let _ = writeln!(out, "{}", paint.bad(&line));
        }
        for flaw in &report.flaws {
            let line = clean(&format!("{id}: {flaw}"));
            let _ = writeln!(out, "{}", if flaw.is_serious() { paint.bad(&line) } else { paint.odd(&line) });
        }
    }
    out
}

fn first_difference(id: &str, first: &Difference) -> String {
    let decision = &first.decision;
    let told = |numbers: &[(String, Numbers)]| {
        let pools = numbers.iter().map(|(pool, n)| {
            let standby = match (n.standby_from, n.standby_to) {
                (0, 0) => String::new(),
                (from, to) => format!(", standby {from} -> {to}"),
            };
            format!("{pool} {} -> {}{standby}", n.from, n.to)
        });
        pools.collect::<Vec<_>>().join("; ")
    };
    clean(&format!(
        "{id}: differs first at {}, decision {}, in its {} ({})\n  recorded  {}\n  computed  {}",
        shown(decision.at),
        decision.id,
        named(first.part, decision),
        first.file.display(),
        told(&first.recorded),
        told(&computed(decision)),
    ))
}
