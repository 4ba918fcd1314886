//! `demo`: a fleet of simulated engines, a burst, the shipped policies, a swap.
//!
//! For: seeing everything at work in one minute, without a GPU, a cluster or a file. The daemon, the load client and the
//! engines are the ones that `run`, `load` and `engine` start. Leaves nothing behind.

mod picture;
mod setting;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use trimtab_engine::load::{Endpoints, LoadOptions, LoadReport, Shape, Snapshot};
use trimtab_live::admin::{self, AdminOptions};
use trimtab_live::clock::Clock;
use trimtab_live::daemon::{self, DaemonConfig};
use trimtab_sandbox::Allocator;

use crate::args::duration;
use crate::failure::Failure;
use crate::output::{Console, seconds};
use crate::verbs::compile::compiler;
use crate::{bundled, process};
use setting::Setting;
use story::{Story, Totals};

const EXAMPLES: &str = "Examples:
  trimtab demo
  trimtab demo --duration 2m
  trimtab demo --plain | tee demo.log";

/// The shortest run in which the fleet can grow and shrink again.
const SHORTEST: Duration = Duration::from_secs(40);

/// Requests a second outside and inside the burst.
const BASE: f64 = 3.0;
const PEAK: f64 = 36.0;

/// Watch a simulated fleet grow under a burst, swap a policy, and shrink again
///
/// Engines on real sockets of this host, a load that bursts, the shipped policies in their sandbox. Ends by itself and
/// leaves nothing behind.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long the load lasts
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// A line a second instead of a picture
    #[arg(long)]
    plain: bool,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        if self.duration < SHORTEST {
            return Err(Failure::usage(
                "--duration",
                format!("{} is too short to see a fleet grow and shrink", seconds(self.duration.as_secs_f64())),
                format!("at least {}", seconds(SHORTEST.as_secs_f64())),
            )
            .into());
        }
        let setting = Setting::make()?;
        let clock = Clock::system();
        let config = DaemonConfig {
            manifests: vec![setting.manifest()],
            policies: vec![setting.policies()],
            state: setting.state(),
            bundled: bundled::POLICIES.to_vec(),
            allocator: Allocator::default(),
            compiler: compiler(),
            dry_run: false,
            listen: None,
            clock: clock.clone(),
        };
        let prepared = daemon::prepare(config).context("the demo's own fleet was refused")?;
        let runtime = process::runtime()?;
        let result: anyhow::Result<(LoadReport, Totals)> = runtime.block_on(async {
            let interrupted = process::shutdown_token()?;
            let stop = CancellationToken::new();
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let running = prepared.start(true);
            let options = AdminOptions { token_file: None, tls: None };
            let served = tokio::spawn(admin::serve(listener, options, running.daemon.clone(), clock, stop.clone()));
            let (progress, snapshots) = watch::channel(None);
            let story = Story::new(running.daemon.clone(), &setting, self.duration, snapshots);
            let picture = console.interactive && !self.plain;
            let teller = tokio::spawn(story.tell(picture, console.paint(), stop.clone()));
            let report = async {
                running_first(&running.daemon, &interrupted).await?;
                load(address.port(), self.duration, progress, interrupted.clone()).await
            }
            .await;
            stop.cancel();
            let totals = teller.await?;
            running.stop().await;
            let _ = served.await;
            Ok((report?, totals?))
        });
        runtime.shutdown_timeout(Duration::from_millis(500));
        let (report, totals) = result?;
        drop(setting);
        console.print(&summary(&report, &totals))?;
        let good = report.failed == 0 && report.shed == 0 && totals.missed_ticks == 0 && totals.swaps > 0;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Waits for the first replica.
async fn running_first(daemon: &daemon::Daemon, interrupted: &CancellationToken) -> anyhow::Result<()> {
    let patience = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if daemon.workloads().iter().any(|view| view.status.pools.iter().any(|pool| pool.ready > 0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    tokio::select! {
        () = interrupted.cancelled() => Err(Failure::new("demo", "stopped", "").into()),
        waited = patience => waited.map_err(|_| {
            let notes: Vec<String> = daemon.workloads().iter().flat_map(|view| view.notes.clone()).collect();
            let what = format!("the first engine did not start: {}", notes.join("; "));
            Failure::new("demo", what, "are ports 18600 to 18649 of this host free?").into()
        }),
    }
}

async fn load(
    port: u16,
    duration: Duration,
    progress: watch::Sender<Option<Snapshot>>,
    stop: CancellationToken,
) -> anyhow::Result<LoadReport> {
    let url = format!("http://127.0.0.1:{port}/v1/endpoints/{}/{}", setting::NAMESPACE, setting::NAME);
    let options = LoadOptions {
        shape: Shape::Burst { base: BASE, peak: PEAK },
        duration,
        refresh: Duration::from_secs(1),
        input_tokens: 256,
        output_tokens: 96,
        ..LoadOptions::new(Endpoints::Discovery(url))
    };
    Ok(trimtab_engine::load::run(
        options,
        |snapshot| {
            progress.send_replace(Some(*snapshot));
        },
        stop,
    )
    .await?)
}

fn summary(report: &LoadReport, totals: &Totals) -> String {
    let time = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{:.0} ms", v * 1000.0));
    let rows = [
        ("requests served", report.completed.to_string()),
        ("requests failed", (report.failed + report.shed).to_string()),
        ("time to first token", {
            let q = &report.ttft_seconds;
            format!("p50 {}, p95 {}, p99 {}", time(q.p50), time(q.p95), time(q.p99))
        }),
        ("decisions that scaled", format!("{} up, {} down", totals.ups, totals.downs)),
        ("replicas", format!("{} at first, {} at the peak, {} at the end", totals.first, totals.peak, totals.last)),
        ("policies swapped", totals.swaps.to_string()),
        ("broken modules refused", totals.refused.to_string()),
        ("missed ticks", totals.missed_ticks.to_string()),
    ];
    let mut out = String::from("\nsummary\n");
    for (name, value) in rows {
        out.push_str(&format!("  {name:<24}{value}\n"));
    }
    out
}
