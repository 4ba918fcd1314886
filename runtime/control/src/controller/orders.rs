//! What people order, and what wakes pools.
//!
//! For: pause, override, resume and wake, each with an expiry. Never carries anything out: orders are facts for the
//! guardrails.

use std::collections::BTreeMap;

use super::Controller;
use crate::command::{Command, Standing};
use crate::config::WakeRule;
use crate::time::{Span, Time};

/// The longest an order stands.
const LONGEST: Span = Span(7 * 24 * 3_600_000);

/// Why an order was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// An override of a pool that does not exist.
    #[error("there is no pool {name:?}; the pools are {known}")]
    UnknownPool {
        /// As it was given.
        name: String,
        /// The pools there are.
        known: String,
    },
    /// An override that names nothing.
    #[error("an override names at least one pool, such as default=3")]
    NoPools,
    /// A pause or override without an end, or beyond the longest.
    #[error("an order stands for more than 0s and at most {LONGEST}, not {0}")]
    Lasting(Span),
    /// A wake where no pool has a grant for zero.
    #[error("no pool has a grant for zero, so there is none to wake")]
    NothingToWake,
}

impl Controller {
    pub(super) fn order(&mut self, command: Command, now: Time) -> Result<String, CommandError> {
        let id = self.config.id.to_string();
        match command {
            Command::Pause { lasting, reason } => {
                let until = end(lasting, now)?;
                let line = format!("{id} paused for {lasting}: {reason}");
                self.facts.pause = Some(Standing { since: now, until, reason, pools: BTreeMap::new() });
                Ok(line)
            }
            Command::Override { pools, lasting, reason } => {
                let until = end(lasting, now)?;
                if pools.is_empty() {
                    return Err(CommandError::NoPools);
                }
                let numbers: Vec<String> =
                    pools.iter().map(|(name, n)| self.overridden(name, *n)).collect::<Result<_, _>>()?;
                let line = format!("{id} overridden with {} for {lasting}: {reason}", numbers.join(", "));
                self.facts.order = Some(Standing { since: now, until, reason, pools });
                Ok(line)
            }
            Command::Resume { reason } => {
                let ended = (self.facts.pause.take().is_some(), self.facts.order.take().is_some());
                let what = match ended {
                    (true, true) => "pause and override ended",
                    (true, false) => "pause ended",
                    (false, true) => "override ended",
                    (false, false) => "nothing to end",
                };
                Ok(format!("{id} resumed ({what}): {reason}"))
            }
            Command::Wake { reason } => {
                let names: Vec<String> =
                    self.config.pools.iter().filter(|p| p.zero.is_some()).map(|p| p.name.clone()).collect();
                if names.is_empty() {
                    return Err(CommandError::NothingToWake);
                }
                self.wake(|_| Some(format!("a person: {reason}")), now);
                Ok(format!("{id} woken ({}): {reason}", names.join(", ")))
            }
        }
    }

    /// `POOL=N`, and what the bounds make of it.
    fn overridden(&self, name: &str, wanted: u32) -> Result<String, CommandError> {
        let Some(pool) = self.config.pools.iter().find(|p| p.name == name) else {
            let known: Vec<&str> = self.config.pools.iter().map(|p| p.name.as_str()).collect();
            return Err(CommandError::UnknownPool { name: name.to_owned(), known: known.join(", ") });
        };
        if (pool.min..=pool.max).contains(&wanted) {
            return Ok(format!("{name}={wanted}"));
        }
        Ok(format!("{name}={wanted} (its bounds, {} to {}, still hold)", pool.min, pool.max))
    }

    /// Ends what has run out.
    pub(super) fn expire(&mut self, now: Time) {
        self.facts.pause.take_if(|standing| standing.until <= now);
        self.facts.order.take_if(|standing| standing.until <= now);
        for memory in self.facts.pools.values_mut() {
            memory.awake_until.take_if(|until| *until <= now);
        }
    }

    /// Wakes the pools whose rules say so. Pools of one group wake together.
    pub(super) fn wake_where_asked(&mut self, now: Time) {
        let limits = self.limits();
        let call = |rule: &WakeRule| {
            let value = self.windows.fresh_value(&rule.signal, limits, now).filter(|v| *v > rule.above)?;
            Some(format!("{} is {value}, above {}", rule.signal, rule.above))
        };
        let pools = self.config.pools.iter();
        let called: Vec<Option<String>> =
            pools.map(|pool| pool.zero.iter().flat_map(|z| &z.wake_on).find_map(call)).collect();
        if called.iter().any(Option::is_some) {
            self.wake(|index| called[index].clone(), now);
        }
    }

    /// Wakes the pools for which `called` gives a reason, and those of their groups.
    fn wake(&mut self, called: impl Fn(usize) -> Option<String>, now: Time) {
        let pools = &self.config.pools;
        let reasons: Vec<Option<String>> = (0..pools.len()).map(called).collect();
        for (index, pool) in pools.iter().enumerate() {
            let with_group = || {
                let others = pools.iter().zip(&reasons).filter(|(p, _)| p.group.is_some() && p.group == pool.group);
                others.map(|(p, why)| Some(format!("with pool {}: {}", p.name, why.as_ref()?))).find_map(|why| why)
            };
            let (Some(zero), Some(why)) = (&pool.zero, reasons[index].clone().or_else(with_group)) else { continue };
            if let Some(memory) = self.facts.pools.get_mut(&pool.name) {
                memory.awake_until = memory.awake_until.max(Some(now + zero.hold));
                memory.awake_by = why;
                memory.idle_since = None;
            }
        }
    }
}

fn end(lasting: Span, now: Time) -> Result<Time, CommandError> {
    if lasting.0 == 0 || lasting > LONGEST {
        return Err(CommandError::Lasting(lasting));
    }
    Ok(now + lasting)
}
