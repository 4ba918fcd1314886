//! `replay`: yesterday's decisions once more, with the modules of that time, or with others.
//!
//! For: an incident, and what another policy would have made of it. Reads a state directory, of a daemon that runs too;
//! never writes there, and asks no daemon.

mod comparison;
mod other;
mod plot;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use trimtab_control::time::Time;
use trimtab_live::journal::{self, Period, Rerun};
use trimtab_sandbox::{Sandbox, SandboxConfig};

use crate::args::Workload;
use crate::failure::Failure;
use crate::output::{Console, OutputArgs, seconds};
use crate::verbs::compile::compiler;
use comparison::Comparison;
use verdict::Verdict;

const EXAMPLES: &str = "Examples:
  trimtab replay ./trimtab.state
  trimtab replay ./trimtab.state team-a/chat --from 2026-03-01T09:00:00Z --to 2026-03-01T10:00:00Z
  trimtab replay ./trimtab.state team-a/chat --policy queue-depth=./queue-depth.wasm --plot shortage.svg
  trimtab replay ./trimtab.state -f chat.yaml -o json

A workload has a journal where its manifest says `journal: {maxSize: 64MiB}`. With --policy or -f the loop is open: load and
replicas stay as they were recorded, whatever the other policy would have made of them.

Exit codes: 0 everything is there and the same (with --policy or -f: there); 1 something differs, is damaged or is missing.";

/// Compute recorded decisions again, or what another policy would have decided
///
/// Takes the journals of a state directory and computes every decision again, with the modules of that time, to the same
/// bytes. Where one differs, it says where first. With --policy or -f it shows, on the same inputs, what others would have
/// decided.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The state directory, its `journal` folder, or the folder of one workload
    #[arg(value_name = "DIR")]
    place: PathBuf,
    /// Workloads; default all
    #[arg(value_name = "NS/NAME")]
    workloads: Vec<Workload>,
    /// Decisions from this instant on
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    from: Option<Time>,
    /// Decisions before this instant
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    to: Option<Time>,
    /// Ask this module wherever the policy NAME was asked
    #[arg(long = "policy", value_name = "NAME=FILE", value_parser = other::named)]
    policies: Vec<(String, PathBuf)>,
    /// Decide by this manifest
    #[arg(short = 'f', long = "file", value_name = "MANIFEST")]
    manifest: Option<PathBuf>,
    /// Draw recorded and computed replicas over time
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

fn instant(text: &str) -> Result<Time, String> {
    let wrong = |why: String| format!("`{text}` is no instant ({why}): write it as 2026-03-01T09:00:00Z");
    let at: jiff::Timestamp = text.parse().map_err(|e: jiff::Error| wrong(e.to_string()))?;
    u64::try_from(at.as_millisecond()).map(Time).map_err(|_| wrong("it lies before 1970".to_owned()))
}

/// As JSON and tables show it.
fn shown(at: Time) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or(i64::MAX)).unwrap_or_default();
    format!("{at:.3}")
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let period = Period { from: self.from.unwrap_or(Time(0)), to: self.to.unwrap_or(Time(u64::MAX)) };
        if period.from >= period.to {
            return Err(Failure::usage("--from", "it lies behind --to", "turn them round").into());
        }
        let open_loop = !self.policies.is_empty() || self.manifest.is_some();
        if self.plot.is_some() && !open_loop {
            let fix = "name another policy with --policy NAME=FILE, or another manifest with -f";
            return Err(Failure::usage("--plot", "without another policy there is nothing to compare", fix).into());
        }
        let found = self.found()?;
        let sandbox =
            Sandbox::new(SandboxConfig { limits: Rerun::limits(), compiler: compiler(), ..SandboxConfig::default() })?;
        let others = other::Others::read(&self.policies, self.manifest.as_deref(), &sandbox)?;
        let rerun = Rerun::new(sandbox);
        let mut verdicts = Vec::new();
        let mut comparisons = Vec::new();
        let mut unused: Vec<&str> = self.policies.iter().map(|(name, _)| name.as_str()).collect();
        for (number, workload) in found.iter().enumerate() {
            let begun = Instant::now();
            console.progress(&format!("{} of {}: {} …", number + 1, found.len(), workload.id));
            let Some(instead) = others.of(&workload.id) else { continue };
            let mut comparison = Comparison::of(workload.id.to_string());
            let report = rerun.run(workload, period, &instead, &mut |tick| {
                if open_loop {
                    comparison.note(tick);
                }
            });
            unused.retain(|name| !instead.was_used(name));
            if let Some(why) = instead.refused().into_iter().next() {
                let fix = "mend it, or name another module";
                return Err(Failure::new(workload.id.to_string(), why, fix).into());
            }
            let took = begun.elapsed().as_secs_f64();
            console.progress(&format!("{}: {} decisions in {}", workload.id, report.ticks, seconds(took)));
            verdicts.push(Verdict::of(workload, report));
            comparisons.push(comparison);
        }
        if let Some(name) = unused.first() {
            let fix = "`trimtab explain` and the manifest name the policies of each stage";
            return Err(
                Failure::new(format!("--policy {name}"), "no stage of these workloads asked for it", fix).into()
            );
        }
        if verdicts.is_empty() {
            let fix = "name a manifest that has one of them, by namespace and name";
            return Err(Failure::new("-f", "the manifest has none of these workloads", fix).into());
        }
        if let Some(file) = &self.plot {
            plot::draw(file, &comparisons)?;
        }
        let good = verdicts.iter().all(|v| if open_loop { v.is_whole() } else { v.is_identical() });
        if self.output.json() {
            console.print_json(&verdict::page(&verdicts, open_loop.then_some(&comparisons[..])))?;
        } else {
            console.print(verdict::table(&verdicts, !open_loop, console.paint()).trim_end())?;
            if open_loop {
                console.print(&comparison::table(&comparisons, console.paint()))?;
            }
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The journals that were asked for.
    fn found(&self) -> anyhow::Result<Vec<journal::Workload>> {
        let place = self.place.display().to_string();
        let mut found = journal::workloads(&self.place).map_err(|error| {
            let fix =
                "name a daemon's --state directory; a manifest asks for a journal with `journal: {maxSize: 64MiB}`";
            Failure::new(place.as_str(), error.to_string().trim_start_matches(&format!("{place}: ")).to_owned(), fix)
        })?;
        for wanted in &self.workloads {
            if !found.iter().any(|w| w.id.to_string() == wanted.to_string()) {
                let known: Vec<String> = found.iter().map(|w| w.id.to_string()).collect();
                let what = format!("there is no journal of {wanted}");
                return Err(Failure::new(place, what, format!("there are: {}", known.join(", "))).into());
            }
        }
        if !self.workloads.is_empty() {
            found.retain(|w| self.workloads.iter().any(|wanted| wanted.to_string() == w.id.to_string()));
        }
        Ok(found)
    }
}
