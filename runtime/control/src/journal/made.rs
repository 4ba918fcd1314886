//! What a decision was, in hashes that can be compared, and the numbers that people ask for first.
//!
//! For: telling that a decision computed again is the same to the last bit, and if not, in which part. The canonical bytes
//! are those of `postcard`; the hash is SipHash-1-3 with a key of zeros, the same on every machine. Never keeps a
//! decision.

use std::fmt;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::wire::{Malformed, Reader, Writer};
use crate::decision::{Decision, PoolDecision};
use crate::pipeline::Commit;

/// A part of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The series that the chain was given.
    Inputs,
    /// What a stage did, by its index.
    Stage(usize),
    /// What the guardrails looked at.
    Guardrails,
    /// What was decided per pool.
    Pools,
    /// States that the stages asked to be kept.
    States,
    /// Its id, its instant, when to ask again, who goes first.
    Rest,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Inputs => f.write_str("inputs"),
            Part::Stage(index) => write!(f, "stage {}", index + 1),
            Part::Guardrails => f.write_str("guardrails"),
            Part::Pools => f.write_str("pools"),
            Part::States => f.write_str("states"),
            Part::Rest => f.write_str("id, recheck or order of removal"),
        }
    }
}

/// What one pool's part of a decision says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    /// Serving replicas until then.
    pub from: u32,
    /// Serving replicas from then on.
    pub to: u32,
    /// Standby replicas until then.
    pub standby_from: u32,
    /// Standby replicas from then on.
    pub standby_to: u32,
}

impl From<&PoolDecision> for Numbers {
    fn from(pool: &PoolDecision) -> Numbers {
        Numbers { from: pool.from, to: pool.to, standby_from: pool.standby_from, standby_to: pool.standby_to }
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Of everything.
    whole: u64,
    /// Shorter ones of inputs, guardrails, pools, states, the rest, and then of each stage.
    parts: Vec<u32>,
    /// One per pool, in the manifest's order.
    pub numbers: Vec<Numbers>,
}

/// Parts before those of the stages, in the order in which a difference is told: what comes first may be the cause.
const BEFORE_STAGES: usize = 5;

impl Made {
    /// `scratch` is overwritten.
    pub(crate) fn of(decision: &Decision, commits: u64, scratch: &mut Writer) -> Made {
        let stages = decision.stages.iter();
        let rest = (&decision.id, decision.at, decision.generation, decision.recheck_at, &decision.remove_first);
        let mut hashes = Vec::with_capacity(BEFORE_STAGES + decision.stages.len());
        hashes.extend([
            hash(&decision.inputs, scratch),
            hash(&decision.guardrails, scratch),
            hash(&decision.pools, scratch),
            commits,
            hash(&rest, scratch),
        ]);
        hashes.extend(stages.map(|stage| hash(stage, scratch)));
        let mut whole = SipHasher13::new();
        hashes.iter().for_each(|hash| whole.write_u64(*hash));
        Made {
            whole: whole.finish(),
            parts: hashes.iter().map(|hash| *hash as u32).collect(),
            numbers: decision.pools.iter().map(Numbers::from).collect(),
        }
    }

    /// The first part in which another is different; none: it is the same.
    pub fn differs(&self, other: &Made) -> Option<Part> {
        if self.whole == other.whole {
            return None;
        }
        let same = |index: usize| self.parts.get(index) == other.parts.get(index);
        if !same(0) {
            return Some(Part::Inputs);
        }
        let most = self.parts.len().max(other.parts.len());
        if let Some(stage) = (BEFORE_STAGES..most).find(|index| !same(*index)) {
            return Some(Part::Stage(stage - BEFORE_STAGES));
        }
        let told = [(1, Part::Guardrails), (2, Part::Pools), (3, Part::States)];
        Some(told.into_iter().find(|(index, _)| !same(*index)).map_or(Part::Rest, |(_, part)| part))
    }

    #[cfg(test)]
    pub(super) fn from_parts(whole: u64, parts: Vec<u32>, numbers: Vec<Numbers>) -> Made {
        Made { whole, parts, numbers }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.raw(&self.whole.to_le_bytes());
        out.unsigned(self.parts.len() as u64);
        self.parts.iter().for_each(|part| out.raw(&part.to_le_bytes()));
        out.unsigned(self.numbers.len() as u64);
        for n in &self.numbers {
            let change = |from: u32, to: u32| i64::from(to) - i64::from(from);
            out.unsigned(u64::from(n.from));
            out.signed(change(n.from, n.to));
            out.unsigned(u64::from(n.standby_from));
            out.signed(change(n.standby_from, n.standby_to));
        }
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Made, Malformed> {
        let wrong = Malformed::Value("a number of replicas");
        let whole = u64::from_le_bytes(input.raw(8)?.try_into().map_err(|_| Malformed::Short)?);
        let count = input.length()?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            parts.push(u32::from_le_bytes(input.raw(4)?.try_into().map_err(|_| Malformed::Short)?));
        }
        let count = input.length()?;
        let mut numbers = Vec::with_capacity(count);
        let pair = |input: &mut Reader<'_>| -> Result<(u32, u32), Malformed> {
            let from = u32::try_from(input.unsigned()?).map_err(|_| wrong.clone())?;
            let to = i64::from(from).checked_add(input.signed()?).and_then(|to| u32::try_from(to).ok());
            Ok((from, to.ok_or(wrong.clone())?))
        };
        for _ in 0..count {
            let ((from, to), (standby_from, standby_to)) = (pair(input)?, pair(input)?);
            numbers.push(Numbers { from, to, standby_from, standby_to });
        }
        Ok(Made { whole, parts, numbers })
    }
}

/// The states that stages asked to be kept.
pub(crate) fn hash_commits(commits: &[Commit], scratch: &mut Writer) -> u64 {
    scratch.clear();
    for commit in commits {
        scratch.structure(&(commit.stage, commit.slot, commit.state.is_some()));
        scratch.raw(commit.state.as_deref().unwrap_or_default());
    }
    scratch.hash()
}

fn hash<T: serde::Serialize + ?Sized>(value: &T, scratch: &mut Writer) -> u64 {
    scratch.clear();
    scratch.structure(value);
    scratch.hash()
}

impl Writer {
    fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write(self.as_bytes());
        hasher.finish()
    }
}
