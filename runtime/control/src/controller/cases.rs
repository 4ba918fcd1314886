//! From memory and reports to the facts that the guardrails judge by.
//!
//! For: one place where "what was last asked for" and "may not go down" are made. Never rules.

use std::collections::BTreeMap;

use super::Controller;
use crate::guardrails::{Awake, Case, Counts, Zero};
use crate::sample::ReplicaState;
use crate::time::{Span, Time};

impl Controller {
    /// What was last asked for: on its way, else taken since the target's newest report, else as the target knows it.
    pub(super) fn present(&self, pool: &str) -> Counts {
        let memory = self.facts.pools.get(pool);
        if let Some(change) = memory.and_then(|m| m.changes.back()).filter(|c| !c.accepted) {
            return Counts { serving: change.to, standby: change.standby_to };
        }
        let asked = memory.and_then(|m| m.asked);
        match (self.fleet.report(pool), asked) {
            (Some(report), Some((serving, standby, at))) if at >= report.at => Counts { serving, standby },
            (Some(report), _) => Counts { serving: report.desired, standby: report.standby },
            (None, _) => Counts::default(),
        }
    }

    /// One per pool, in the manifest's order.
    pub(super) fn cases<'a>(
        &'a self,
        doubts: &BTreeMap<String, String>,
        hold: Option<&'a str>,
        now: Time,
    ) -> Vec<Case<'a>> {
        let rules = &self.config.guardrails;
        let order = self.facts.order.as_ref();
        self.config
            .pools
            .iter()
            .filter_map(|pool| {
                let memory = self.facts.pools.get(&pool.name)?;
                let report = self.fleet.report(&pool.name);
                let idle = memory.idle_since.map(|since| now.since(since));
                Some(Case {
                    now,
                    pool: &pool.name,
                    group: pool.group.as_deref(),
                    min: pool.min,
                    max: pool.max,
                    zero: pool.zero.as_ref().map(|z| Zero { after: z.after, idle }),
                    present: self.present(&pool.name),
                    reported: report.is_some(),
                    can_standby: report.is_some_and(|r| r.can_standby),
                    rolling_out: report.is_some_and(|r| r.rolling_out),
                    arriving: memory.starts.expected(pool.startup, now).arriving,
                    order: order.and_then(|o| Some((*o.pools.get(&pool.name)?, o))),
                    awake: memory.awake_until.and_then(|until| {
                        let floor = pool.zero.as_ref()?.wake_replicas;
                        Some(Awake { floor, until, by: &memory.awake_by })
                    }),
                    hold,
                    doubt: doubts.get(&pool.name).cloned(),
                    // An increase on its way counts: a decrease after it would be a reversal.
                    last_up: memory
                        .last_up
                        .max(memory.changes.iter().rev().find(|c| !c.accepted && c.to > c.from).map(|c| c.at)),
                    cooldown: rules.cooldown,
                    changes: &memory.changes,
                    up: rules.scale_up,
                    down: rules.scale_down,
                    waits_for: &memory.waits_for,
                })
            })
            .collect()
    }

    /// Keeps since when the chain has proposed zero while nothing ran or waited. Idleness that nobody watched, because
    /// there was no tick for too long, is none.
    pub(super) fn note_idleness(&mut self, numbers: &[Counts], answered: bool, now: Time) {
        let limits = self.limits();
        let gap = limits.stale_after.max(Span(self.config.interval.0.saturating_mul(2)));
        let watched = self.facts.decisions.back().is_some_and(|last| now.since(last.at) <= gap);
        for (pool, number) in self.config.pools.iter().zip(numbers) {
            let Some(memory) = self.facts.pools.get_mut(&pool.name) else { continue };
            // A person's number replaces what the chain proposed.
            let ordered = self.facts.order.as_ref().and_then(|o| o.pools.get(&pool.name)).copied();
            let wanted = ordered.or(answered.then_some(number.serving));
            let idle = wanted == Some(0) && pool.zero.is_some() && self.windows.idle(&pool.name, limits, now);
            memory.idle_since = if idle { memory.idle_since.filter(|_| watched).or(Some(now)) } else { None };
        }
    }

    /// Per pool, the replicas to take away first: silent ones, then failed ones.
    pub(super) fn remove_first(&self, now: Time) -> Vec<(String, Vec<String>)> {
        let limits = self.limits();
        let mut first = Vec::new();
        for pool in &self.config.pools {
            let mut ids: Vec<String> =
                self.windows.silent(&pool.name, limits, now).iter().map(ToString::to_string).collect();
            let replicas = self.fleet.report(&pool.name).map_or(&[][..], |r| &r.replicas);
            let failed = replicas.iter().filter(|r| r.state == ReplicaState::Failed).map(|r| r.id.to_string());
            ids.extend(failed);
            if !ids.is_empty() {
                first.push((pool.name.clone(), ids));
            }
        }
        first
    }
}
