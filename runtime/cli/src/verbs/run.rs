//! `run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use trimtab_live::admin::{self, AdminOptions};
use trimtab_live::clock::Clock;
use trimtab_live::daemon::{self, DaemonConfig, StartError};
use trimtab_sandbox::Allocator;

use crate::failure::{Failure, problems, show};
use crate::output::{Console, clean};
use crate::verbs::compile::compiler;
use crate::{bundled, process};

const EXAMPLES: &str = "Examples:
  trimtab run -f chat.yaml
  trimtab run -f scalers/ --policies ./policies.d --state /var/lib/trimtab
  trimtab run -f chat.yaml --dry-run
  RUST_LOG=debug trimtab run -f chat.yaml

Ctrl-C or TERM ends it within 2 s and leaves replicas as they are; the next `run` finds them again.";

/// Run the daemon in the foreground
///
/// Manifests and policies directories are watched: a good edit takes effect at once, a wrong one changes nothing and is
/// reported. Log lines go to standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Manifests: files, or folders of *.yaml and *.yml
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Directories of policy modules, NAME.wasm or TENANT/NAME.wasm; of several the later wins
    #[arg(long, value_name = "DIR", default_value = "./policies.d")]
    policies: Vec<PathBuf>,
    /// What the daemon remembers: policy state, cooldowns, replicas
    #[arg(long, value_name = "DIR", default_value = "./trimtab.state")]
    state: PathBuf,
    /// The admin port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9470")]
    listen: SocketAddr,
    /// File with the bearer token that the admin port asks for; needed off loopback
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificate chain of the admin port, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where modules' memory comes from
    #[arg(long, value_name = "HOW", default_value = "pooling")]
    allocator: Memory,
    /// Decide, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// End process replicas when the daemon ends
    #[arg(long)]
    stop_replicas: bool,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: process::LogFormat,
}

/// Where the memory of policies comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Memory {
    /// Reserved once: fastest; takes 1 TiB of address space, not of memory
    Pooling,
    /// Mapped for each call: for hosts that limit address space
    OnDemand,
}

impl From<Memory> for Allocator {
    fn from(memory: Memory) -> Allocator {
        match memory {
            Memory::Pooling => Allocator::Pooling,
            Memory::OnDemand => Allocator::OnDemand,
        }
    }
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        process::log_to_stderr("info", self.log_format, console.colours_on_errors());
        let options = AdminOptions { token_file: self.token_file, tls: self.tls_cert.zip(self.tls_key) };
        options.fit(self.listen).map_err(|error| {
            Failure::new(
                self.listen.to_string(),
                error.to_string(),
                "mend or name another file, or listen on 127.0.0.1 without it",
            )
        })?;
        for dir in &self.policies {
            std::fs::create_dir_all(dir).map_err(|error| {
                Failure::new(
                    dir.display().to_string(),
                    format!("the policies directory cannot be made: {error}"),
                    "name a directory that this user can write with --policies",
                )
            })?;
        }
        let clock = Clock::system();
        let config = DaemonConfig {
            manifests: self.files,
            policies: self.policies,
            state: self.state,
            bundled: bundled::POLICIES.to_vec(),
            allocator: self.allocator.into(),
            compiler: compiler(),
            dry_run: self.dry_run,
            listen: Some(self.listen),
            clock: clock.clone(),
        };
        let prepared = match daemon::prepare(config) {
            Ok(prepared) => prepared,
            Err(StartError::Manifests(found)) => {
                console.note(show(&problems(&found), console.paint_errors()).trim_end());
                console.note(&clean(&format!("{} problem(s); nothing was started", found.len())));
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => return Err(error.into()),
        };
        let runtime = process::runtime()?;
        let result = runtime.block_on(async {
            let stop = process::shutdown_token()?;
            let listener = TcpListener::bind(self.listen).await.map_err(|error| {
                Failure::new(
                    self.listen.to_string(),
                    format!("cannot listen: {error}"),
                    "another daemon may run: see `trimtab status`; or choose another --listen",
                )
            })?;
            let address = listener.local_addr()?;
            let running = prepared.start(self.stop_replicas);
            tracing::info!(%address, "the admin port is open");
            let serving = tokio::spawn(admin::serve(listener, options, running.daemon.clone(), clock, stop.clone()));
            let failed = {
                let stop = stop.clone();
                async move {
                    let served = serving.await;
                    stop.cancel();
                    served
                }
            };
            let (served, ()) = tokio::join!(failed, async {
                stop.cancelled().await;
                running.stop().await;
            });
            served?.context("the admin port failed")
        });
        // Nothing that still compiles or waits for a slow peer may hold up the end.
        runtime.shutdown_timeout(Duration::from_millis(100));
        result.map(|()| ExitCode::SUCCESS)
    }
}
