//! What becomes of decisions: kept, on their way, taken or not.
//!
//! For: `explain`, cooldowns, rates and start-up times, which all hang on what the target really took. Never decides.

use super::{Controller, Draft};
use crate::decision::{Decision, Outcome, OutcomeState, PoolDecision, PoolOutcome};
use crate::guardrails::Counts;
use crate::saved::{Change, PoolMemory, REMEMBER_CHANGES};
use crate::time::Time;

/// Decisions kept that changed something.
const KEPT_DECISIONS: usize = 20;
/// Most changes remembered per pool.
const MAX_CHANGES: usize = 1_024;

impl Controller {
    /// Gives the decision its name and its place among the kept ones.
    pub(super) fn finish(&mut self, draft: Draft, present: &[Counts], now: Time) {
        self.facts.sequence += 1;
        let id = format!("{}-{}-{}", self.config.generation, now.0, self.facts.sequence);
        let names = self.config.pools.iter().map(|p| p.name.clone());
        let pools: Vec<PoolDecision> = names
            .zip(present.iter().zip(&draft.passage.numbers))
            .map(|(name, (from, to))| PoolDecision {
                name,
                from: from.serving,
                to: to.serving,
                standby_from: from.standby,
                standby_to: to.standby,
                outcome: (from == to).then(|| PoolOutcome { state: OutcomeState::Unchanged, message: String::new() }),
            })
            .collect();
        let recheck = draft.recheck.filter(|r| *r < self.config.interval);
        let decision = Decision {
            id,
            at: now,
            generation: self.config.generation,
            inputs: draft.inputs,
            stages: draft.stages,
            guardrails: draft.passage.steps,
            recheck_at: recheck.map(|r| now + r),
            remove_first: self.remove_first(now),
            pools,
        };
        self.remember(decision, now);
    }

    /// Keeps the decision, and its changes as on their way.
    fn remember(&mut self, decision: Decision, now: Time) {
        for pool in decision.pools.iter().filter(|p| p.outcome.is_none()) {
            let Some(memory) = self.facts.pools.get_mut(&pool.name) else { continue };
            memory.changes.push_back(Change {
                decision: decision.id.clone(),
                at: now,
                from: pool.from,
                to: pool.to,
                standby_from: pool.standby_from,
                standby_to: pool.standby_to,
                accepted: false,
                unanswered: false,
            });
            let keep = now - REMEMBER_CHANGES;
            while memory.changes.len() > MAX_CHANGES
                || memory.changes.front().is_some_and(|c| c.accepted && c.at < keep)
            {
                memory.changes.pop_front();
            }
        }
        let kept = &mut self.facts.decisions;
        if kept.back().is_some_and(|last| came_to_nothing(last, &decision)) {
            kept.pop_back();
        }
        kept.push_back(decision);
        let changed = kept.iter().filter(|d| d.changes()).count();
        if changed > KEPT_DECISIONS {
            kept.pop_front();
        }
    }

    /// Whoever carried out a pool's actions is gone, perhaps with one in flight: whether the target took it, its next
    /// report will say.
    pub fn let_go(&mut self, pool: &str) {
        if let Some(tape) = &mut self.tape {
            tape.let_go(pool);
        }
        if let Some(memory) = self.facts.pools.get_mut(pool) {
            memory.settle();
        }
        let unanswered = self.facts.decisions.iter_mut().flat_map(|d| &mut d.pools).filter(|p| p.name == pool);
        for pool in unanswered.filter(|p| p.outcome.is_none()) {
            let message =
                "the pool was connected anew before the answer; its next report says what was taken".to_owned();
            pool.outcome = Some(PoolOutcome { state: OutcomeState::Failed, message });
        }
    }

    /// Takes in what became of one action. Outcomes of superseded decisions count too: they say what was not done.
    #[allow(clippy::needless_pass_by_value)] // an event is handed over, not lent
    pub fn record(&mut self, outcome: Outcome, now: Time) {
        if let Some(tape) = &mut self.tape {
            tape.record(&outcome, now);
        }
        if let Some(decision) = self.facts.decisions.iter_mut().find(|d| d.id == outcome.decision)
            && let Some(pool) = decision.pools.iter_mut().find(|p| p.name == outcome.pool)
        {
            pool.outcome = Some(PoolOutcome { state: outcome.state, message: outcome.message.clone() });
        }
        let Some(memory) = self.facts.pools.get_mut(&outcome.pool) else { return };
        let Some(index) = memory.changes.iter().position(|c| c.decision == outcome.decision && !c.accepted) else {
            return;
        };
        match outcome.state {
            OutcomeState::Applied => accept(memory, index, now),
            // Nobody answered, which does not say that nothing was done.
            OutcomeState::Failed => memory.may_be_taken(index),
            _ => {
                if let Some(undone) = memory.changes.remove(index)
                    && let Some(next) = memory.changes.get_mut(index)
                {
                    // The next change began where this one should have ended.
                    (next.from, next.standby_from) = (undone.from, undone.standby_from);
                }
            }
        }
    }
}

/// Whether the last decision changed nothing, so that the next takes its place among those kept: nothing was asked, or
/// the target did not take it, or it is being said again after nobody answered, or after it was only observed.
fn came_to_nothing(last: &Decision, next: &Decision) -> bool {
    let numbers = |d: &Decision| -> Vec<_> {
        d.pools.iter().map(|p| (p.name.clone(), p.from, p.to, p.standby_from, p.standby_to)).collect()
    };
    last.pools.iter().all(|pool| match pool.outcome.as_ref().map(|o| o.state) {
        None | Some(OutcomeState::Applied) => false,
        Some(OutcomeState::Observed | OutcomeState::Failed) => numbers(last) == numbers(next),
        Some(_) => true,
    })
}

/// The target took a change.
fn accept(memory: &mut PoolMemory, index: usize, now: Time) {
    let change = &mut memory.changes[index];
    change.accepted = true;
    let (from, to, new) = (change.from, change.to, change.added());
    let (standby_to, total) = (change.standby_to, change.total());
    memory.asked = Some((to, standby_to, now));
    if to > from || new > 0 {
        memory.last_up = Some(now);
        memory.starts.ordered(now, new, total);
    }
    if to < from {
        memory.last_down = Some(now);
        memory.starts.withdrawn();
    }
}
