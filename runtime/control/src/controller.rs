//! One workload's state machine: samples in, decisions out, outcomes back.
//!
//! For: the daemon, the simulator and the replay, which all drive this one. Each tick is `observe`, `propose`, the
//! arbiter's grant, `decide`, and later `record` for each action. Never awaits, logs, reads a clock or fails: what goes
//! wrong is part of the decision.

mod asked;
mod cases;
mod doubts;
mod fleet;
mod orders;
mod record;
mod report;
mod snapshot;
mod sources;
mod view;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::check;
use crate::command::Command;
use crate::config::{Module, WorkloadConfig};
use crate::decision::{Decision, Grant, Input, PoolWant, Rule, StageRecord, Step, Wants};
use crate::guardrails::{self, Counts, Passage};
use crate::journal::{Fallen, Made, Tape, hash_commits};
use crate::pipeline::{self, Chain, Commit};
use crate::policy::{Fault, MetricNeed, Observation, Target, Tier};
use crate::sample::Intake;
use crate::saved::{Saved, SavedFacts};
use crate::series::Windows;
use crate::time::{Span, Time};

use asked::Asked;
use fleet::Fleet;
pub use orders::CommandError;

pub use crate::pipeline::Tripped;
pub use crate::saved::Slot;

/// See the module.
#[derive(Debug)]
pub struct Controller {
    config: WorkloadConfig,
    source_period: Span,
    utc_offset_minutes: i32,
    windows: Windows,
    fleet: Fleet,
    chain: Chain,
    facts: SavedFacts,
    asked: Arc<Asked>,
    draft: Option<Draft>,
    tripped: Vec<Tripped>,
    /// Where everything that it is given is written down; none: nowhere.
    tape: Option<Box<Tape>>,
    /// Calls of the next proposal that are answered as they were; only when it replays.
    fallen: Vec<Fallen>,
}

/// What `propose` found, until `decide` finishes it.
#[derive(Debug)]
struct Draft {
    at: Time,
    generation: u64,
    inputs: Vec<Input>,
    stages: Vec<StageRecord>,
    commits: Vec<Commit>,
    passage: Passage,
    doubts: BTreeMap<String, String>,
    hold: Option<String>,
    recheck: Option<Span>,
}

impl Controller {
    /// A controller for a workload, with what an earlier one saved. Saved instants in the future count as now.
    pub fn new(config: WorkloadConfig, saved: Option<Saved>, now: Time) -> Self {
        let Saved { mut facts, states } = saved.unwrap_or_default();
        facts.not_after(now);
        facts.settle();
        let mut windows = Windows::new(facts.seen.clone());
        windows.inherit_spoken(facts.spoken.clone());
        for (pool, memory) in &facts.pools {
            windows.inherit(pool, &memory.service);
        }
        let mut controller = Controller {
            source_period: config.interval,
            utc_offset_minutes: 0,
            windows,
            fleet: Fleet::default(),
            chain: Chain::restored(states, std::mem::take(&mut facts.writers)),
            facts,
            asked: Arc::default(),
            draft: None,
            tripped: Vec::new(),
            tape: None,
            fallen: Vec::new(),
            config,
        };
        controller.settle_config(now);
        controller
    }

    /// Takes another configuration. Samples, the state of stages that remain, start-up times, cooldowns and standing
    /// orders stay; modules of stages that remain serve on, with the configuration they were admitted for, until another
    /// is installed.
    pub fn reconfigure(&mut self, config: WorkloadConfig, now: Time) {
        if let Some(tape) = &mut self.tape {
            tape.reconfigure(&config, now);
        }
        self.config = config;
        self.draft = None;
        self.settle_config(now);
    }

    fn settle_config(&mut self, now: Time) {
        let pools: BTreeSet<&str> = self.config.pools.iter().map(|p| p.name.as_str()).collect();
        self.facts.pools.retain(|name, _| pools.contains(name.as_str()));
        self.windows.keep_pools(&|name| pools.contains(name));
        self.fleet.keep_pools(&|name| pools.contains(name));
        for pool in &self.config.pools {
            self.facts.pools.entry(pool.name.clone()).or_default();
        }
        for pool in &self.config.pools {
            // A wake never holds for longer than now and its hold, wherever the clock stood when it began.
            let latest = pool.zero.as_ref().map(|z| now + z.hold);
            if let Some(memory) = self.facts.pools.get_mut(&pool.name) {
                memory.awake_until = memory.awake_until.and_then(|until| Some(until.min(latest?)));
            }
        }
        self.chain.reconfigure(&self.config.stages);
        self.settle_needs();
    }

    fn settle_needs(&mut self) {
        self.asked = Arc::new(Asked::of(&self.chain, &self.config));
        let needs: Vec<MetricNeed> = self.asked.needs.iter().chain(&self.asked.shadow_needs).cloned().collect();
        self.windows.set_needs(&needs, self.limits());
    }

    /// What it was configured to be.
    pub fn config(&self) -> &WorkloadConfig {
        &self.config
    }

    /// Puts a module behind a stage, between ticks; or says why there is none, and the last good one serves on.
    pub fn install(&mut self, stage: &str, slot: Slot, module: Result<Module, Fault>, now: Time) {
        if let Some(tape) = &mut self.tape {
            tape.install(stage, slot, &module, now);
        }
        self.chain.install(&self.config.stages, stage, slot, module);
        self.draft = None;
        self.settle_needs();
    }

    /// Gives a stage the state that its module's predecessor left, for a roll-back. False where the present module was
    /// confirmed by enough good decisions, or there was no other.
    pub fn restore_previous_state(&mut self, stage: &str, slot: Slot) -> bool {
        if let Some(tape) = &mut self.tape {
            tape.restore_previous(stage, slot);
        }
        self.chain.cell_mut(stage, slot).is_some_and(|cell| cell.memory.restore_previous())
    }

    /// Whether [`Controller::take_tripped`] has something to say.
    pub fn has_tripped(&self) -> bool {
        !self.tripped.is_empty()
    }

    /// Modules that failed too often since the last call, before they were confirmed: whoever holds the versions should
    /// install the one before and call [`Controller::restore_previous_state`].
    pub fn take_tripped(&mut self) -> Vec<Tripped> {
        std::mem::take(&mut self.tripped)
    }

    /// What is behind a stage now; none: nothing was ever loaded.
    pub fn installed(&self, stage: &str, slot: Slot) -> Option<&Module> {
        self.chain.named(stage, slot)?.loaded.as_ref().map(|loaded| &loaded.module)
    }

    /// The state that a module of that policy and state version would be given now: for the probe at admission, which
    /// may be for a configuration that is not in force yet. Empty where there is none, or another policy or version
    /// wrote it.
    pub fn state(&self, stage: &str, slot: Slot, policy: &str, state_version: u32) -> &[u8] {
        self.chain.named(stage, slot).map_or(&[], |cell| cell.memory.for_module(policy, state_version).0)
    }

    /// Start-up times of accepted scale-ups that finished since the last call, with their pools, oldest first. Not kept
    /// over a restart.
    pub fn take_measured(&mut self) -> Vec<(String, Span)> {
        let pools = self.facts.pools.iter_mut();
        pools
            .flat_map(|(name, memory)| memory.starts.take_fresh().into_iter().map(|span| (name.clone(), span)))
            .collect()
    }

    /// Takes in what targets and sources report.
    pub fn observe(&mut self, intake: Intake, now: Time) {
        if let Some(tape) = &mut self.tape {
            tape.observe(&intake, now);
        }
        let limits = self.limits();
        self.utc_offset_minutes = intake.utc_offset_minutes;
        for report in intake.pools {
            let late = self.fleet.report(&report.pool).is_some_and(|known| known.at > report.at);
            let Some(memory) = self.facts.pools.get_mut(&*report.pool).filter(|_| !late) else { continue };
            if let Some(pool) = self.config.pools.iter().find(|p| *p.name == *report.pool) {
                memory.starts.expire(pool.startup, now);
            }
            memory.starts.meet(&report, now);
            self.windows.meet(&report, now);
            self.fleet.meet(report, now);
        }
        self.windows.take(intake.samples, limits, now);
        self.windows.forget(limits, now);
    }

    /// What a policy with such needs would see now: for the probe at admission.
    pub fn observation(&self, _stage: &str, needs: &[MetricNeed], now: Time) -> Observation {
        let limits = self.limits();
        let together = [(0..needs.len()).collect()];
        let answered = self.windows.answer(needs, &together, self.config.guardrails.min_coverage, limits, now);
        let series = answered.into_iter().flatten().map(|a| a.series).collect();
        Observation { series, proposed: self.desired_targets(), ..self.scene(now) }
    }

    /// Runs the chain and the guardrails up to rate.
    pub fn propose(&mut self, now: Time) -> Wants {
        self.expire(now);
        self.wake_where_asked(now);
        let limits = self.limits();
        let asked = Arc::clone(&self.asked);
        let least = self.config.guardrails.min_coverage;
        let answer =
            |needs: &[MetricNeed], together: &[Vec<usize>]| self.windows.answer(needs, together, least, limits, now);
        let answered = answer(&asked.needs, &asked.observations());
        let beside = answer(&asked.shadow_needs, &asked.shadow_observations());
        let scene = RefCell::new(Some(self.scene(now)));
        let left = Cell::new(asked.modules());
        let look = |index: usize, slot: Slot| {
            let answered = if slot == Slot::Shadow { &beside } else { &answered };
            let series =
                asked.places(index, slot).iter().flat_map(|need| answered[*need].iter().map(|a| a.series.clone()));
            left.set(left.get().saturating_sub(1));
            // The last that looks need leave nothing for another.
            let scene = if left.get() == 0 { scene.take() } else { scene.borrow().clone() };
            Observation { series: series.collect(), ..scene.unwrap_or_else(|| self.scene(now)) }
        };
        let context = pipeline::Context { chain: &self.chain, look: &look, fallen: &self.fallen, now };
        let mut proposal = pipeline::run(&self.config.stages, &context, self.desired_targets());
        for (index, record) in proposal.records.iter().enumerate() {
            self.chain.note(index, record.error.clone());
        }
        if let Some(tape) = &mut self.tape {
            tape.propose(now, &pipeline::fallen(&proposal.calls));
        }
        for called in std::mem::take(&mut proposal.calls) {
            self.tripped.extend(self.chain.note_call(called, now));
        }
        let numbers = self.numbers_of(&proposal.targets);
        self.note_idleness(&numbers, proposal.hold.is_none() && proposal.no_down.is_none(), now);
        let doubts = self.doubts(
            &asked.needs[..asked.of_chain],
            &answered,
            proposal.no_down.as_ref().or(proposal.hold.as_ref()),
        );
        let cases = self.cases(&doubts, proposal.hold.as_deref(), now);
        let passage = guardrails::up_to_rate(&cases, numbers, self.facts.pause.as_ref());
        let wants =
            Wants { pools: cases.iter().zip(&passage.numbers).map(|(case, n)| self.want(case.pool, *n)).collect() };
        drop(cases);
        let inputs = answered.into_iter().flatten().map(|a| a.input).collect();
        self.draft = Some(Draft {
            at: now,
            generation: self.config.generation,
            inputs,
            stages: proposal.records,
            commits: proposal.commits,
            passage,
            doubts,
            hold: proposal.hold,
            recheck: proposal.recheck,
        });
        wants
    }

    fn want(&self, pool: &str, numbers: Counts) -> PoolWant {
        let gpus_per_replica = self.config.pools.iter().find(|p| p.name == pool).map_or(1, |p| p.gpus_per_replica);
        let holds = self.fleet.holds(pool);
        PoolWant { pool: pool.to_owned(), holds, serving: numbers.serving, standby: numbers.standby, gpus_per_replica }
    }

    fn numbers_of(&self, targets: &[Target]) -> Vec<Counts> {
        let of = |pool: &str, tier: Tier| {
            targets.iter().find(|t| t.pool == pool && t.tier == tier).map_or(0, |t| t.replicas)
        };
        let pools = self.config.pools.iter();
        pools.map(|p| Counts { serving: of(&p.name, Tier::Serving), standby: of(&p.name, Tier::Standby) }).collect()
    }

    /// Finishes the tick under a grant: the last guardrails, the check, the record. Proposes first where that was not
    /// done for this instant.
    pub fn decide(&mut self, grant: &Grant, now: Time) -> Decision {
        self.make(grant, now);
        let made = self.facts.decisions.back().cloned();
        made.unwrap_or_else(|| unreachable!("a decision that was made is the last of those kept"))
    }

    /// The same, for who is content with the first of [`Controller::decisions`].
    pub(crate) fn make(&mut self, grant: &Grant, now: Time) {
        let current = self.draft.as_ref().is_some_and(|d| d.at == now && d.generation == self.config.generation);
        if !current {
            self.propose(now);
        }
        let Some(mut draft) = self.draft.take() else { unreachable!("propose leaves a draft") };
        let cases = self.cases(&draft.doubts, draft.hold.as_deref(), now);
        let paused = self.facts.pause.is_some();
        let waits = if paused {
            cases.iter().map(|case| case.waits_for.clone()).collect()
        } else {
            guardrails::to_the_end(&cases, &mut draft.passage, grant)
        };
        let mut violations = 0;
        for (index, case) in cases.iter().enumerate() {
            let broken = check::pool(case, draft.passage.numbers[index], grant, paused);
            violations += broken.len() as u64;
            draft.passage.steps.extend(broken.iter().map(|v| dropped(case, draft.passage.numbers[index], v)));
        }
        if violations > 0 {
            draft.passage.numbers = cases.iter().map(|case| case.present).collect();
        }
        let present: Vec<Counts> = cases.iter().map(|case| case.present).collect();
        drop(cases);
        self.facts.violations += violations;
        for (pool, waits) in self.config.pools.iter().zip(waits) {
            if let Some(memory) = self.facts.pools.get_mut(&pool.name) {
                memory.waits_for = waits;
            }
        }
        let commits = std::mem::take(&mut draft.commits);
        let committed = self.tape.as_mut().map(|tape| hash_commits(&commits, &mut tape.scratch));
        for Commit { stage, slot, state } in commits {
            self.chain.commit(stage, slot, state);
        }
        self.finish(draft, &present, now);
        if let (Some(tape), Some(committed), Some(decision)) = (&mut self.tape, committed, self.facts.decisions.back())
        {
            let made = Made::of(decision, committed, &mut tape.scratch);
            tape.decide(now, grant, made);
        }
    }

    /// Takes a person's order. Returns the line for the audit.
    pub fn command(&mut self, command: Command, now: Time) -> Result<String, CommandError> {
        if let Some(tape) = &mut self.tape {
            tape.command(&command, now);
        }
        self.order(command, now)
    }

    /// Newest first: the last that changed something, and the last one.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.facts.decisions.iter().rev()
    }

    /// Decisions that the check dropped so far.
    pub fn violations(&self) -> u64 {
        self.facts.violations
    }

    /// Everything that a later controller needs to go on.
    pub fn save(&self) -> Saved {
        let mut facts = self.facts.clone();
        facts.seen.clone_from(self.windows.seen());
        facts.spoken.clone_from(self.windows.spoken());
        facts.writers = self.chain.writers();
        for (pool, memory) in &mut facts.pools {
            memory.service = self.windows.measured(pool);
        }
        Saved { facts, states: self.chain.save() }
    }
}

fn dropped(case: &guardrails::Case<'_>, after: Counts, violation: &check::Violation) -> Step {
    Step {
        rule: Rule::Check,
        pool: case.pool.to_owned(),
        from: after.serving,
        to: case.present.serving,
        standby_from: after.standby,
        standby_to: case.present.standby,
        why: format!("decision dropped: {violation}"),
    }
}
