//! A few replicas more than the stages before it ask for.
//!
//! For: room for the next burst, ready (serving) or a wake away (standby). Stands behind a stage that sizes by load.
//! Never looks at load itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trimtab_sdk::{Decision, Need, Observation, Policy, Pool, Refusal, replicas};

/// See `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    serving: u32,
    standby: u32,
    percent: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config { serving: 1, standby: 0, percent: 0.0 }
    }
}

/// What is remembered of each pool.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    pools: BTreeMap<String, Memory>,
}

/// The last answer, and whether it came on top of a proposal that may have been that answer's own echo.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Memory {
    answered: u32,
    spent: bool,
}

/// The policy.
pub struct WarmBuffer;

impl Policy for WarmBuffer {
    type Config = Config;
    type State = State;
    const NAME: &'static str = "warm-buffer";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "A few replicas more than the stages before it ask for.";
    const SCHEMA: &'static str = include_str!("../schema.json");

    fn prepare(config: &Config) -> Result<Vec<Need>, Refusal> {
        if !(0.0..=1000.0).contains(&config.percent) {
            return Err(Refusal::bad_config("/percent", "must be between 0 and 1000"));
        }
        Ok(Vec::new())
    }

    fn decide(config: &Config, seen: &Observation, state: &mut State) -> Result<Decision, Refusal> {
        let mut decision = Decision::default();
        let mut reasons = Vec::new();
        let mut pools = BTreeMap::new();
        for pool in &seen.pools {
            let proposed = seen.proposed(&pool.name, "serving");
            let memory = keep_warm(config, pool, proposed, state.pools.get(&pool.name).copied());
            let extra = memory.answered.saturating_sub(proposed);
            reasons.push(match config.standby {
                0 => format!("{}: {proposed} and {extra} warm", pool.name),
                standby => format!("{}: {proposed} and {extra} warm, {standby} standing by", pool.name),
            });
            decision = decision.serving(&pool.name, memory.answered);
            if config.standby > 0 {
                let standby = config.standby.max(seen.proposed(&pool.name, "standby"));
                decision = decision.standby(&pool.name, standby);
            }
            pools.insert(pool.name.clone(), memory);
        }
        state.pools = pools;
        Ok(Decision { reason: reasons.join("; "), ..decision })
    }
}

/// The proposal and the buffer.
///
/// A proposal that equals what is desired now may be nobody's own: the first stage of a chain receives just that, as
/// does every stage while those before it fail. Adding to it at each tick would climb without end, since the answer
/// comes back as the next proposal. So such a proposal is added to once, and not again until one came that differs.
fn keep_warm(config: &Config, pool: &Pool, proposed: u32, before: Option<Memory>) -> Memory {
    let buffer = config.serving.max(replicas(f64::from(proposed) * config.percent / 100.0));
    let answered = proposed.saturating_add(buffer);
    let may_be_echo = proposed == pool.desired;
    match before {
        Some(before)
            if may_be_echo && before.spent && proposed <= before.answered && before.answered - proposed <= buffer =>
        {
            before
        }
        _ => Memory { answered, spent: may_be_echo },
    }
}

trimtab_sdk::export!(WarmBuffer);

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a chain: at each tick the need (none: the stage before failed, or there is none) and what results.
    fn follow(config: &Config, needs: &[Option<u32>], max: u32) -> Vec<u32> {
        let mut pool = Pool { desired: 2, ..Pool::default() };
        let mut memory = None;
        let mut tick = |need: &Option<u32>| {
            let after = keep_warm(config, &pool, need.unwrap_or(pool.desired), memory);
            memory = Some(after);
            pool.desired = after.answered.min(max);
            after.answered
        };
        needs.iter().map(&mut tick).collect()
    }

    #[test]
    fn adds_to_what_is_needed() {
        let some = |needs: &[u32]| needs.iter().map(|n| Some(*n)).collect::<Vec<_>>();
        assert_eq!(follow(&Config::default(), &some(&[4, 4, 5, 5, 3]), 99), [5, 5, 6, 6, 4]);
        let percent = Config { serving: 1, standby: 0, percent: 25.0 };
        assert_eq!(follow(&percent, &some(&[2, 8, 9]), 99), [3, 10, 12]);
    }

    #[test]
    fn never_climbs_on_its_own_echo() {
        assert_eq!(follow(&Config::default(), &[None; 6], 99), [3; 6], "first in the chain");
        assert_eq!(follow(&Config::default(), &[Some(4), Some(4), None, None, None], 99), [5, 5, 6, 6, 6]);
        assert_eq!(follow(&Config::default(), &[Some(8), None, None, None], 8), [9; 4], "at the bound");
        assert_eq!(follow(&Config::default(), &[None, None, Some(9), Some(9)], 99), [3, 3, 10, 10]);
    }
}
