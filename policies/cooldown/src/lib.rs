//! Goes down only to the greatest proposal of the last minutes.
//!
//! For: the end of a chain; it takes the saw-teeth out of what the stages before it propose. Never raises anything
//! beyond what was proposed within its time, so scale-up passes at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trimtab_sdk::{Decision, Need, Observation, Policy, Refusal, Span};

/// `down` is divided into so many grains, and one proposal a grain is remembered, which bounds the state.
const GRAINS: u64 = 64;

/// See `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    down: Span,
    step: Option<u32>,
}

impl Default for Config {
    fn default() -> Config {
        Config { down: Span::seconds(300), step: None }
    }
}

/// Per pool and tier (`pool/tier`), proposals that may still be the greatest: instants ascending, replicas descending.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    peaks: BTreeMap<String, Vec<(u64, u32)>>,
}

/// The policy.
pub struct Cooldown;

impl Policy for Cooldown {
    type Config = Config;
    type State = State;
    const NAME: &'static str = "cooldown";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Goes down only to the greatest proposal of the last minutes; up at once.";
    const SCHEMA: &'static str = include_str!("../schema.json");

    fn prepare(config: &Config) -> Result<Vec<Need>, Refusal> {
        if config.down > Span::seconds(86_400) {
            return Err(Refusal::bad_config("/down", "must be at most 1d"));
        }
        if config.step == Some(0) {
            return Err(Refusal::bad_config("/step", "must be at least 1"));
        }
        Ok(Vec::new())
    }

    fn decide(config: &Config, seen: &Observation, state: &mut State) -> Result<Decision, Refusal> {
        let mut decision = Decision::default();
        let mut reasons = Vec::new();
        let mut peaks = BTreeMap::new();
        for target in &seen.proposed {
            let Some(pool) = seen.pools.iter().find(|p| p.name == target.pool) else { continue };
            let desired = match target.tier.as_str() {
                "serving" => pool.desired,
                "standby" => pool.standby,
                _ => target.replicas,
            };
            let key = format!("{}/{}", target.pool, target.tier);
            // Nothing is remembered of a pool at first: what is there now counts as proposed just now.
            let mut peak = state.peaks.remove(&key).unwrap_or_else(|| vec![(seen.now, desired)]);
            remember(&mut peak, seen.now, target.replicas, config.down.0);
            let mut answer = peak.first().map_or(target.replicas, |(_, most)| *most);
            if let Some(step) = config.step {
                answer = answer.max(desired.saturating_sub(step));
            }
            if answer > target.replicas {
                let since = peak.first().map_or(0, |(at, _)| seen.now.saturating_sub(*at));
                reasons.push(if peak.first().is_some_and(|(_, most)| *most == answer) {
                    format!("{key}: {answer} were proposed {} ago", Span(since))
                } else {
                    format!("{key}: {answer}, one step down from {desired}")
                });
                decision.note(format!("{key}.proposed"), target.replicas);
            }
            decision = decision.tier(&target.pool, &target.tier, answer);
            peaks.insert(key, peak);
        }
        state.peaks = peaks;
        let reason = if reasons.is_empty() { "nothing to hold back".into() } else { reasons.join("; ") };
        Ok(Decision { reason, ..decision })
    }
}

/// Takes a proposal in and drops what can no longer be the greatest: what is older than `down`, and what was no
/// greater and came before.
fn remember(peak: &mut Vec<(u64, u32)>, now: u64, replicas: u32, down: u64) {
    for (at, _) in peak.iter_mut() {
        *at = (*at).min(now); // an instant in the future counts as now: clocks are set back
    }
    peak.retain(|(at, most)| now - at < down && *most > replicas);
    // Within a grain the greater proposal stands for both at the later instant: it holds at most a grain too long.
    let grain = (down / GRAINS).max(1);
    match peak.last_mut() {
        Some((at, _)) if *at / grain == now / grain => *at = now,
        _ => peak.push((now, replicas)),
    }
}

trimtab_sdk::export!(Cooldown);

#[cfg(test)]
mod tests {
    use super::*;

    fn greatest(peak: &[(u64, u32)]) -> u32 {
        peak.first().map_or(0, |(_, most)| *most)
    }

    #[test]
    fn the_greatest_of_the_last_while_counts() {
        let mut peak = Vec::new();
        let mut at = |now: u64, replicas| {
            remember(&mut peak, now, replicas, 300);
            greatest(&peak)
        };
        assert_eq!([at(0, 4), at(100, 9), at(200, 2), at(399, 1)], [4, 9, 9, 9]);
        assert_eq!([at(400, 1), at(499, 1), at(500, 1)], [2, 2, 1]);
    }

    #[test]
    fn state_is_bounded_and_never_forgets_too_soon() {
        let mut peak = Vec::new();
        let mut proposals = Vec::new();
        for second in 0..3000_u64 {
            let replicas = 5000 - second as u32;
            proposals.push(replicas);
            remember(&mut peak, second * 1000, replicas, 300_000);
            assert!(peak.len() as u64 <= GRAINS + 1);
            let right = proposals[proposals.len().saturating_sub(300)];
            assert!(greatest(&peak) >= right, "at {second} s");
            assert!(greatest(&peak) <= right + 5, "at {second} s: {} instead of {right}", greatest(&peak));
        }
    }

    #[test]
    fn a_clock_set_back_keeps_what_is_known() {
        let mut peak = vec![(1_000_000, 8)];
        remember(&mut peak, 500_000, 2, 300_000);
        assert_eq!(greatest(&peak), 8);
        remember(&mut peak, 800_000, 2, 300_000);
        assert_eq!(greatest(&peak), 2);
    }
}
