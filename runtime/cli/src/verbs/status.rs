//! `status`: what is.
//!
//! For: one line per pool, and one more for each thing that is not as it should be.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::admin::{Condition, ServerArgs, WorkloadStatus, Workloads, parse};
use crate::failure::show;
use crate::output::{Align, Console, OutputArgs, Paint, Table, clean, short_digest};

const EXAMPLES: &str = "Examples:
  trimtab status
  trimtab status -o json
  trimtab status --server http://127.0.0.1:9470 --token-file token";

/// Show workloads, their replicas, and what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let text = self.server.get("/v1/workloads")?;
        if self.output.json() {
            console.print(&text)?;
        } else {
            let page: Workloads = parse(&text)?;
            console.print(&render(&page, console.paint()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn render(page: &Workloads, paint: Paint) -> String {
    let problems = show(&page.problems, paint);
    if page.workloads.is_empty() {
        return format!("no workloads\n{problems}");
    }
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("WORKLOAD", Align::Left),
        ("POOL", Align::Left),
        right("MIN"),
        right("MAX"),
        right("DESIRED"),
        right("READY"),
        right("STARTING"),
        right("DRAINING"),
        right("STANDBY"),
        ("STATE", Align::Left),
    ]);
    for workload in &page.workloads {
        let state = state(workload);
        for (i, pool) in workload.pools.iter().enumerate() {
            let counts = [pool.min, pool.max, pool.desired, pool.ready, pool.starting, pool.draining, pool.standby];
            let mut row = vec![format!("{}/{}", workload.namespace, workload.name), pool.name.clone()];
            row.extend(counts.map(|n| n.to_string()));
            row.push(if i == 0 { state.clone() } else { String::new() });
            table.row(row);
        }
    }
    let mut out = table.render();
    let troubles: Vec<String> = page.workloads.iter().flat_map(|w| troubles(w, paint)).collect();
    if !troubles.is_empty() {
        out.push('\n');
        out.push_str(&troubles.concat());
    }
    if !problems.is_empty() {
        out.push_str("\nManifests that are not in force as they stand:\n");
        out.push_str(&problems);
    }
    out
}

/// `Ready`, `Paused` and so on, in a word.
fn state(workload: &WorkloadStatus) -> String {
    let is = |kind: &str, status: &str| workload.conditions.iter().any(|c| c.kind == kind && c.status == status);
    let word = if is("Paused", "True") {
        "paused"
    } else if is("Ready", "True") {
        "ready"
    } else {
        "not ready"
    };
    word.to_owned()
}

/// A condition whose status is not the good one.
fn is_trouble(condition: &Condition) -> bool {
    let good = match condition.kind.as_str() {
        "Ready" | "PoliciesLoaded" | "MetricsFresh" => "True",
        _ => "False",
    };
    condition.status != good
}

fn troubles(workload: &WorkloadStatus, paint: Paint) -> Vec<String> {
    let id = clean(&format!("{}/{}", workload.namespace, workload.name));
    let mut lines = Vec::new();
    for condition in workload.conditions.iter().filter(|c| is_trouble(c)) {
        let what = clean(&format!("{}={} {}", condition.kind, condition.status, condition.reason));
        let mut line = format!("{id}: {}", paint.odd(what.trim_end()));
        if !condition.message.is_empty() {
            let _ = write!(line, ": {}", clean(&condition.message));
        }
        lines.push(line + "\n");
    }
    for stage in workload.policies.iter().filter(|p| p.state != "ok") {
        let what = paint.bad(&clean(&stage.state));
        let digest = short_digest(&stage.digest);
        let name = clean(&stage.name);
        lines.push(format!("{id}: stage {name} {what} {digest}: {}\n", clean(&stage.message)));
    }
    lines
}
