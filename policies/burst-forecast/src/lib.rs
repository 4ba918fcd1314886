//! As many replicas as the load will need when one started now is ready.
//!
//! For: engines that take minutes to start. Forecasts each pool's load over the measured start-up time and asks for
//! that number at once. Never asks for less than the present load needs, and never waits before going down.

mod forecast;

use serde::Deserialize;
use trimtab_sdk::{Decision, Need, Observation, Policy, Pool, Refusal, Span, load, replicas};

use crate::forecast::{Forecast, Outlook};

/// Start-up time where neither the configuration nor the host says one.
const UNKNOWN_STARTUP: f64 = 180.0;
/// Points of history asked for.
const POINTS: u64 = 120;

/// See `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    target: f64,
    quantile: f64,
    window: Span,
    horizon: Option<Span>,
}

impl Default for Config {
    fn default() -> Config {
        Config { target: 8.0, quantile: 0.9, window: Span::seconds(600), horizon: None }
    }
}

/// The policy.
pub struct BurstForecast;

impl Policy for BurstForecast {
    type Config = Config;
    type State = ();
    const NAME: &'static str = "burst-forecast";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "As many replicas as the load will need when one started now is ready.";
    const SCHEMA: &'static str = include_str!("../schema.json");

    fn prepare(config: &Config) -> Result<Vec<Need>, Refusal> {
        if !(config.target > 0.0 && config.target.is_finite()) {
            return Err(Refusal::bad_config("/target", "must be greater than 0"));
        }
        if !(0.0..=1.0).contains(&config.quantile) {
            return Err(Refusal::bad_config("/quantile", "must be between 0 and 1"));
        }
        if config.window < Span::seconds(10) || config.window > Span::seconds(86_400) {
            return Err(Refusal::bad_config("/window", "must be between 10s and 1d"));
        }
        let step = (config.window.0 / POINTS / 1000).max(1) * 1000;
        let history = |need: Need| need.history(config.window.0, step);
        Ok(vec![
            history(Need::required("active-sequences")),
            history(Need::required("queue-depth")),
            history(Need::optional("request-rate")),
            Need::optional("service-rate"),
        ])
    }

    fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Decision, Refusal> {
        let mut decision = Decision::default();
        let mut reasons = Vec::new();
        let mut blind = None;
        for pool in &seen.pools {
            let Some(outlook) = look_ahead(config, seen, pool) else {
                if pool.ready > 0 {
                    blind = load::missing(seen, pool);
                }
                reasons.push(format!("{}: nothing to measure yet, {} kept", pool.name, pool.desired));
                continue;
            };
            let name = &pool.name;
            reasons.push(format!("{name}: {outlook}"));
            decision.note(format!("{name}.now"), format_args!("{:.2}", outlook.now));
            decision.note(format!("{name}.predicted"), format_args!("{:.2}", outlook.predicted));
            decision.note(format!("{name}.perReplica"), format_args!("{:.3}", outlook.per_replica));
            decision.note(format!("{name}.horizonSeconds"), outlook.horizon);
            decision.note(format!("{name}.starting"), pool.starting);
            decision = decision.serving(name, outlook.replicas.max(pool.min));
        }
        match blind {
            Some(signal) if decision.targets.is_empty() => Err(Refusal::missing_metric(signal)),
            _ => Ok(Decision { reason: reasons.join("; "), ..decision }),
        }
    }
}

/// One pool's future: by arrivals where they and a replica's rate are known, else by requests in the engines.
fn look_ahead(config: &Config, seen: &Observation, pool: &Pool) -> Option<Outlook> {
    let startup = pool.fact("startup-p90-ms").map_or(UNKNOWN_STARTUP, |ms| ms / 1000.0);
    let horizon = config.horizon.map_or(startup, Span::as_seconds).max(1.0);
    let requests = load::requests(seen, pool)?;
    let present = requests.present()?.max(0.0);
    let rate = load::property(seen, pool, "service-rate").and_then(trimtab_sdk::Series::newest).filter(|r| *r > 0.0);
    let arrivals = load::part(seen, pool, "request-rate").filter(|s| s.newest().is_some());
    let arriving: Vec<f64> = pool.ready_at.iter().map(|at| at.saturating_sub(seen.now) as f64 / 1000.0).collect();

    // A replica's rate is known and arrivals are not yet: the host has just started, or the first replica. Nothing can be
    // predicted from one page, and sizing by another measure meanwhile would change the answer because of a start.
    if rate.is_some() && arrivals.is_none() {
        return None;
    }
    if let (Some(rate), Some(arrivals)) = (rate, arrivals) {
        let smooth = forecast::smooth(&arrivals.values, 3);
        let forecast =
            Forecast { values: &smooth, step: arrivals.step as f64 / 1000.0, quantile: config.quantile, similar: rate };
        let now = smooth.iter().rev().copied().find(|v| v.is_finite())?.max(0.0);
        let predicted = forecast.at(now, horizon);
        // What waits when a replica started now is ready: today's queue and what arrives until then, less what those
        // that are ready, or ready sooner, complete. Twice the horizon from now it should be gone.
        let waiting = load::part(seen, pool, "queue-depth").and_then(|s| s.present()).unwrap_or(0.0).max(0.0);
        let completed: f64 =
            arriving.iter().map(|wait| (horizon - wait).max(0.0)).sum::<f64>() + f64::from(pool.ready) * horizon;
        let backlog = (waiting + (now + predicted) / 2.0 * horizon - completed * rate).max(0.0);
        let wanted = replicas(predicted / rate + backlog / (rate * horizon).max(1.0));
        let bare = replicas(now / rate).max(u32::from(present > 0.0));
        return Some(Outlook {
            now,
            predicted,
            per_replica: rate,
            horizon,
            replicas: wanted.max(bare),
            what: "arrivals/s",
        });
    }
    let forecast = Forecast {
        values: &requests.values,
        step: requests.step as f64 / 1000.0,
        quantile: config.quantile,
        similar: config.target,
    };
    // A queue also grows because too few replicas are ready. Where those that start will do for what is here, such
    // growth ends when they are ready, so it is not extrapolated beyond that.
    let enough_comes = f64::from(pool.coming()) * config.target >= present;
    let relief = if pool.starting > 0 && enough_comes { arriving.last().copied() } else { None };
    let predicted = forecast.at(present, relief.unwrap_or(horizon).clamp(1.0, horizon));
    let wanted = replicas(predicted / config.target).max(replicas(present / config.target));
    Some(Outlook { now: present, predicted, per_replica: config.target, horizon, replicas: wanted, what: "requests" })
}

trimtab_sdk::export!(BurstForecast);
