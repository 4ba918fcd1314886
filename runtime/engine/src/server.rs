//! The server: an OpenAI-style API, vLLM's metrics, health and sleep over one simulated replica.
//!
//! For: a peer that answers as a GPU engine would, on a machine without a GPU. Every route but `/health` and
//! `/is_sleeping` answers 503 until start-up is over. Never computes a token: the text is filler, the timing is the point.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use trimtab_sim::{Profile, Startup, profile};

mod api;
mod connections;
mod engine;
mod metrics;
mod routes;
#[cfg(test)]
mod tests;

use engine::Engine;

/// The profile served unless another is named.
pub const DEFAULT_PROFILE: &str = "h100-llama-3.1-8b-bf16";
/// Largest request body, in bytes: a prompt of the longest context fits.
const MAX_BODY: usize = 4 << 20;

/// What to serve.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Which GPU, model and precision.
    pub profile: Profile,
    /// How long until ready, in simulated time.
    pub startup: Startup,
    /// Simulated seconds that pass in one second; positive. Latencies on `/metrics` are wall time, as clients see them.
    pub speed: f64,
    /// For the start-up draw.
    pub seed: u64,
    /// The model's name on the API; the profile's when `None`.
    pub model: Option<String>,
}

impl Default for EngineOptions {
    /// An H100 with an 8B model, ready after 5 s, in real time.
    fn default() -> EngineOptions {
        EngineOptions {
            // The table has it: its own tests look up every row.
            #[allow(clippy::expect_used)]
            profile: profile::named(DEFAULT_PROFILE).expect("the default profile is in the table"),
            startup: Startup::Fixed(Duration::from_secs(5)),
            speed: 1.0,
            seed: 0,
            model: None,
        }
    }
}

/// Serves until `shutdown`; then ends open requests, gives their connections a second to say so, and returns.
///
/// Errors: a speed that is not a positive number.
pub async fn serve(listener: TcpListener, options: EngineOptions, shutdown: CancellationToken) -> io::Result<()> {
    if !(options.speed.is_finite() && options.speed > 0.0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "speed must be a positive number"));
    }
    let engine = Arc::new(Engine::new(options));
    let ticking = Arc::clone(&engine);
    let stop = shutdown.clone();
    let ticker = tokio::spawn(async move { stop.run_until_cancelled(ticking.tick()).await });
    connections::serve(listener, router(Arc::clone(&engine)), &shutdown, || engine.abort_all()).await;
    ticker.abort();
    Ok(())
}

fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/v1/completions", post(routes::completions))
        .route("/v1/chat/completions", post(routes::chat_completions))
        .route("/v1/models", get(routes::models))
        .route("/metrics", get(routes::metrics))
        .route("/health", get(routes::health))
        .route("/sleep", post(routes::sleep))
        .route("/wake_up", post(routes::wake_up))
        .route("/is_sleeping", get(routes::is_sleeping))
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(engine)
}
