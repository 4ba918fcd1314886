//! The reference policy of the benches: of each of twelve series of sixty values the mean, the slope and a quantile, and
//! a memory of 256 bytes.
//!
//! For: one source that is measured as a guest, as a guest without the SDK's allocator, and as native code. It does what a
//! forecaster does, in the contract's own types, and decides something that depends on all of it. Never shipped.

use serde::{Deserialize, Serialize};
use trimtab_sdk::{Decision, Need, Observation, Policy, Refusal, replicas, series};

/// Series it looks at.
pub const SERIES: usize = 12;
/// Values of each.
pub const STEPS: u64 = 60;
/// Numbers it remembers: 256 bytes.
pub const REMEMBERED: usize = 32;

/// What can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Which quantile of each series counts, 0 to 1.
    pub quantile: f64,
    /// What one replica bears.
    pub per_replica: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config { quantile: 0.9, per_replica: 64.0 }
    }
}

/// Smoothed means and slopes of the series, and how many decisions there were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    smooth: [f64; REMEMBERED],
}

/// The policy.
pub struct Reference;

impl Policy for Reference {
    type Config = Config;
    type State = Memory;
    const NAME: &'static str = "reference";
    const VERSION: &'static str = "0.1.0";
    const SUMMARY: &'static str = "Mean, slope and a quantile of each series: what the benches measure.";
    const SCHEMA: &'static str = r#"{"type":"object","additionalProperties":false,"properties":{"quantile":{"type":"number"},"perReplica":{"type":"number"}}}"#;

    fn prepare(_: &Config) -> Result<Vec<Need>, Refusal> {
        let need = |n: usize| Need::optional(&format!("signal-{n}")).history(STEPS * 1000, 1000);
        Ok((0..SERIES).map(need).collect())
    }

    fn decide(config: &Config, seen: &Observation, memory: &mut Memory) -> Result<Decision, Refusal> {
        let pool = seen.pools.first().ok_or_else(|| Refusal::other("no pool"))?;
        let mut demand = 0.0;
        for (n, seen) in seen.series.iter().take(SERIES).enumerate() {
            let values = &seen.values;
            let (Some(mean), Some(quantile)) = (series::mean(values), series::quantile(values, config.quantile)) else {
                return Err(Refusal::missing_metric(&seen.signal));
            };
            let slope = slope(values);
            let ahead = slope * 30.0;
            memory.smooth[n] += 0.2 * (mean - memory.smooth[n]);
            memory.smooth[SERIES + n] += 0.2 * (slope - memory.smooth[SERIES + n]);
            demand += quantile.max(memory.smooth[n]) + ahead.max(0.0);
        }
        memory.smooth[REMEMBERED - 1] += 1.0;
        let wanted = replicas(demand / config.per_replica);
        Ok(Decision::because("the quantile of every series, and where it goes").serving(&pool.name, wanted))
    }

    fn read_state(bytes: &[u8]) -> Result<Memory, String> {
        let mut memory = Memory::default();
        if bytes.len() != REMEMBERED * 8 {
            return Err(format!("{} bytes instead of {}", bytes.len(), REMEMBERED * 8));
        }
        for (to, from) in memory.smooth.iter_mut().zip(bytes.chunks_exact(8)) {
            *to = f64::from_le_bytes(from.try_into().map_err(|_| "not eight bytes".to_owned())?);
        }
        Ok(memory)
    }

    fn write_state(memory: &Memory) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(REMEMBERED * 8);
        memory.smooth.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        Ok(bytes)
    }
}

/// Change a step of the line through the values by least squares; 0 where there is none.
fn slope(values: &[f64]) -> f64 {
    let (mut n, mut x, mut xx, mut y, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (step, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let at = step as f64;
        n += 1.0;
        x += at;
        xx += at * at;
        y += value;
        xy += at * value;
    }
    let spread = n * xx - x * x;
    if spread == 0.0 { 0.0 } else { (n * xy - x * y) / spread }
}

trimtab_sdk::export!(Reference);
