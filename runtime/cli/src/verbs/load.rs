//! `load`: an open-loop client over the serving replicas.

mod shape;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use trimtab_engine::load::{Endpoints, LoadOptions, LoadReport, Quantiles, Shape, Snapshot};

use crate::args::duration;
use crate::failure::Failure;
use crate::output::{Align, Console, OutputArgs, Table, clean, seconds};
use crate::process;

const EXAMPLES: &str = "Examples:
  trimtab load --endpoints http://127.0.0.1:9470/v1/endpoints/default/chat --rate 20 --duration 2m
  trimtab load --endpoints http://127.0.0.1:9470/v1/endpoints/default/chat --shape burst
  trimtab load --endpoints URL --shape trace.csv -o json    columns arrival_s, input_tokens, output_tokens";

/// Send requests to the serving replicas at stated times, and measure
///
/// Open loop: an arrival never waits for an answer, and latency counts from when a request was due. The endpoints are
/// read again every 2 s; a refused connection is tried on another replica.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The daemon's list of serving replicas: …/v1/endpoints/NS/NAME
    #[arg(long, value_name = "URL")]
    endpoints: String,
    /// Requests a second; with a shape, its base (the peak is four times that)
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,
    /// burst, diurnal, or a file with arrivals
    #[arg(long, value_name = "burst|diurnal|FILE")]
    shape: Option<String>,
    /// How long requests arrive
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    duration: Duration,
    /// File with the daemon's bearer token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let shape = match self.shape.as_deref() {
            None => Shape::Steady { rate: self.rate },
            Some(name) => shape::named(name, self.rate)?,
        };
        let token =
            self.token_file.as_ref().map(std::fs::read_to_string).transpose().map_err(|e| {
                Failure::new("--token-file", format!("cannot read the token: {e}"), "name a readable file")
            })?;
        let options = LoadOptions {
            shape,
            duration: self.duration,
            token: token.map(|t| t.trim().to_owned()),
            ..LoadOptions::new(Endpoints::Discovery(self.endpoints.clone()))
        };
        let report = process::runtime()?.block_on(async {
            let stop = process::shutdown_token()?;
            let progress = |s: &Snapshot| show_progress(s, console);
            let report = trimtab_engine::load::run(options, progress, stop).await;
            report.map_err(|e| {
                Failure::usage("load", e.to_string(), "`trimtab load --help` shows how it is written").into()
            }) as anyhow::Result<LoadReport>
        })?;
        if console.progress {
            console.note("");
        }
        if self.output.json() {
            console.print_json(&report)?;
        } else {
            console.print(&render(&report))?;
        }
        let whole = report.failed == 0 && report.shed == 0 && report.completed > 0;
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// One line that is written over itself, where a person watches.
fn show_progress(s: &Snapshot, console: &Console) {
    if console.progress {
        let line = format!(
            "\r{:>6}  {} sent, {} answered, {} failed, {} in flight, {} replicas\x1b[K",
            seconds(s.elapsed_seconds),
            s.offered,
            s.completed,
            s.failed,
            s.in_flight,
            s.endpoints
        );
        let mut err = std::io::stderr().lock();
        // Progress that cannot be shown is no failure.
        let _ = err.write_all(line.as_bytes()).and_then(|()| err.flush());
    }
}

fn render(report: &LoadReport) -> String {
    let mut out = format!(
        "{} sent in {}: {} answered, {} failed, {} shed; {} connections tried again elsewhere\n",
        report.offered,
        seconds(report.duration_seconds),
        report.completed,
        report.failed,
        report.shed,
        report.retries
    );
    out.push_str(&format!(
        "{} output tokens, {:.0} a second; at most {} in flight, {} replicas\n\n",
        report.output_tokens, report.output_tokens_per_second, report.peak_in_flight, report.peak_endpoints
    ));
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[("SECONDS", Align::Left), right("P50"), right("P95"), right("P99"), right("MAX")]);
    let rows =
        [("ttft", &report.ttft_seconds), ("tpot", &report.tpot_seconds), ("end to end", &report.end_to_end_seconds)];
    for (name, Quantiles { p50, p95, p99, max }) in rows {
        let cells = [p50, p95, p99, max].map(|q| q.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}")));
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    out.push_str(&table.render());
    if report.failed > 0 {
        out.push('\n');
    }
    for (kind, failure) in &report.failures {
        let kind = serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        out.push_str(&format!("failed, {kind}: {} (last: {})\n", failure.count, clean(&failure.last)));
    }
    out
}
