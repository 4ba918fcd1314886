//! `engine`: one simulated inference server.

use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;
use trimtab_engine::{EngineOptions, Startup, profile};

use crate::args::duration;
use crate::failure::Failure;
use crate::output::Console;
use crate::process;
use crate::verbs::later::Later;

const EXAMPLES: &str = "Examples:
  trimtab engine --port 8000
  trimtab engine --listen 127.0.0.1:8000 --startup 1s --speed 10
  curl -s localhost:8000/v1/completions -d '{\"prompt\": \"hello\", \"max_tokens\": 8}' -H 'content-type: application/json'

Not in this version: engine fit.";

/// Run one simulated inference server
///
/// OpenAI-style completions (streaming too), vLLM-named /metrics, /health, /sleep and /wake_up. The answers are filler,
/// the timing is that of the profile.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    later: Option<Verb>,
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", required_unless_present = "port", conflicts_with = "port")]
    listen: Option<SocketAddr>,
    /// The same on 127.0.0.1; 0: any free one
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// GPU, model and precision
    #[arg(long, value_name = "NAME", default_value = trimtab_engine::server::DEFAULT_PROFILE)]
    profile: String,
    /// Until it is ready: a duration, or warm-node, cold-pod, new-node, snapshot
    #[arg(long, value_name = "DURATION|NAME", default_value = "5s", value_parser = startup)]
    startup: Startup,
    /// Simulated seconds that pass in one second
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    #[command(hide = true, disable_help_flag = true)]
    Fit(Later),
}

fn startup(text: &str) -> Result<Startup, String> {
    match Startup::named(text) {
        Some(startup) => Ok(startup),
        None if text == "0s" => Ok(Startup::Fixed(std::time::Duration::ZERO)),
        None => duration(text).map(Startup::Fixed),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        _ => Err("write a number above 0, such as 10".to_owned()),
    }
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        if let Some(Verb::Fit(args)) = self.later {
            return args.refuse("engine fit");
        }
        let profile = profile::named(&self.profile).ok_or_else(|| {
            let names: Vec<&str> = profile::names().collect();
            Failure::usage(
                "--profile",
                format!("there is no `{}`", self.profile),
                format!("one of: {}", names.join(", ")),
            )
        })?;
        // Clap wants one of the two.
        let address = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], self.port.unwrap_or(0))));
        let options = EngineOptions { profile, startup: self.startup, speed: self.speed, ..EngineOptions::default() };
        process::runtime()?.block_on(async {
            let listener = TcpListener::bind(address).await.map_err(|e| {
                Failure::new(address.to_string(), format!("cannot listen: {e}"), "choose another --port, or 0 for any")
            })?;
            console.note(&format!("serving {} on http://{}", self.profile, listener.local_addr()?));
            trimtab_engine::serve(listener, options, process::shutdown_token()?).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
