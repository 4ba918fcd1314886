//! The target of one pool, as small as it can be: replicas that start, serve, stop, and what their pages say.
//!
//! For: scenarios. Never decides how many there should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trimtab_control::decision::{Action, Outcome, OutcomeState};
use trimtab_control::sample::{Origin, PoolReport, Reading, Replica, ReplicaState, Sample};
use trimtab_control::time::{Span, Time};

use super::{number, span, words};

/// What is wrong with a replica's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ill {
    Mute,
    Frozen,
    Nan,
    Negative,
    /// More than any engine can have.
    Garbage,
    /// At work on a long prompt.
    Stalled,
}

#[derive(Debug)]
struct One {
    id: Arc<str>,
    state: ReplicaState,
    since: Time,
    restarting: bool,
    ill: Option<Ill>,
    /// Signals its page no longer has.
    without: BTreeSet<String>,
    /// Pages given while stalled.
    stalled: u32,
    counters: BTreeMap<String, f64>,
    /// What its page said before it froze.
    page: Vec<(String, Reading)>,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // what a script may switch
pub(super) struct Fleet {
    pub(super) pool: String,
    desired: u32,
    standby: u32,
    can_standby: bool,
    takes: Span,
    finishes: bool,
    rolling: bool,
    mood: OutcomeState,
    hangs: bool,
    swallows: bool,
    ignores: bool,
    pub(super) late: bool,
    born: u32,
    replicas: Vec<One>,
    gauges: BTreeMap<String, f64>,
    rates: BTreeMap<String, f64>,
    last: Time,
}

impl Fleet {
    pub(super) fn parse(rest: &str, now: Time) -> Result<Self, String> {
        let (pool, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut fleet = Fleet {
            pool: pool.to_owned(),
            desired: 1,
            standby: 0,
            can_standby: false,
            takes: Span::seconds(20),
            finishes: true,
            rolling: false,
            mood: OutcomeState::Applied,
            hangs: false,
            swallows: false,
            ignores: false,
            late: false,
            born: 0,
            replicas: Vec::new(),
            gauges: BTreeMap::new(),
            rates: BTreeMap::new(),
            last: now,
        };
        for (name, value) in words(rest) {
            match name {
                "replicas" => fleet.desired = number(value)?,
                "takes" => fleet.takes = span(value)?,
                "standby" => (fleet.standby, fleet.can_standby) = (number(value)?, true),
                _ => return Err(format!("fleet has no {name}")),
            }
        }
        for _ in 0..fleet.desired {
            fleet.spawn(ReplicaState::Ready, now);
        }
        for _ in 0..fleet.standby {
            fleet.spawn(ReplicaState::Standby, now);
        }
        Ok(fleet)
    }

    pub(super) fn line(&mut self, verb: &str, rest: &str, now: Time) -> Result<(), String> {
        match verb {
            "signal" => {
                for (name, value) in words(rest) {
                    match value.strip_prefix('+').and_then(|v| v.strip_suffix("/s")) {
                        Some(rate) => self.rates.insert(name.to_owned(), number(rate)?),
                        None => self.gauges.insert(name.to_owned(), number(value)?),
                    };
                }
                Ok(())
            }
            "never" => {
                self.finishes = false;
                Ok(())
            }
            "set" => {
                self.desired = number(rest)?;
                self.settle(&[], now);
                Ok(())
            }
            "target" => self.behave(rest),
            "late" | "prompt" => {
                self.late = verb == "late";
                Ok(())
            }
            _ => self.some(verb, rest, now),
        }
    }

    fn behave(&mut self, how: &str) -> Result<(), String> {
        (self.hangs, self.swallows) = (how == "hangs", how == "swallows");
        self.ignores &= matches!(how, "rolls" | "settles");
        match how {
            "applies" => self.mood = OutcomeState::Applied,
            "loses" => self.mood = OutcomeState::Failed,
            "refuses" => (self.mood, self.ignores) = (OutcomeState::Refused, true),
            "fails" => (self.mood, self.ignores) = (OutcomeState::Failed, true),
            "rolls" => self.rolling = true,
            "settles" => self.rolling = false,
            "hangs" | "swallows" => {}
            _ => return Err(format!("a target never {how}")),
        }
        Ok(())
    }

    /// `ID…` or `*`, and for `without` the signal.
    fn some(&mut self, verb: &str, rest: &str, now: Time) -> Result<(), String> {
        let prefix = format!("{}/", self.pool);
        let mut ids: Vec<&str> = rest.split_whitespace().map(|id| id.trim_start_matches(&prefix)).collect();
        let signal = if verb == "without" { ids.pop().unwrap_or_default() } else { "" };
        let all: Vec<String> = self.replicas.iter().map(|r| r.id.to_string()).collect();
        if ids == ["*"] {
            ids = all.iter().map(String::as_str).collect();
        }
        ids.into_iter().try_for_each(|id| self.one(verb, id, signal, now))
    }

    fn one(&mut self, verb: &str, id: &str, signal: &str, now: Time) -> Result<(), String> {
        let Some(one) = self.replicas.iter_mut().find(|r| *r.id == *id) else { return Err(format!("no replica {id}")) };
        match verb {
            "mute" => one.ill = Some(Ill::Mute),
            "freeze" => one.ill = Some(Ill::Frozen),
            "nan" => one.ill = Some(Ill::Nan),
            "negative" => one.ill = Some(Ill::Negative),
            "garbage" => one.ill = Some(Ill::Garbage),
            "stall" => one.ill = Some(Ill::Stalled),
            "without" => {
                one.without.insert(signal.to_owned());
            }
            "heal" => {
                one.ill = None;
                one.without.clear();
            }
            "reset" => one.counters.values_mut().for_each(|v| *v = 0.0),
            "kill" => (one.state, one.since, one.restarting) = (ReplicaState::Starting, now, true),
            "repair" => (one.state, one.since, one.restarting) = (ReplicaState::Ready, now, false),
            _ => return Err(format!("no verb {verb}")),
        }
        Ok(())
    }

    fn spawn(&mut self, state: ReplicaState, now: Time) {
        self.born += 1;
        self.replicas.push(One {
            id: Arc::from(format!("r{}", self.born)),
            state,
            since: now,
            restarting: false,
            ill: None,
            without: BTreeSet::new(),
            stalled: 0,
            counters: BTreeMap::new(),
            page: Vec::new(),
        });
    }

    pub(super) fn advance(&mut self, now: Time) {
        let seconds = now.since(self.last).as_seconds();
        self.last = now;
        for one in &mut self.replicas {
            if one.state == ReplicaState::Starting
                && !one.restarting
                && self.finishes
                && now.since(one.since) >= self.takes
            {
                (one.state, one.since) = (ReplicaState::Ready, now);
            }
            if one.state == ReplicaState::Ready {
                let moves = |name: &str| one.ill != Some(Ill::Stalled) || name == "engine-steps";
                for (name, rate) in self.rates.iter().filter(|(name, _)| moves(name)) {
                    *one.counters.entry(name.clone()).or_default() += rate * seconds;
                }
            }
        }
    }

    pub(super) fn report(&self, now: Time) -> PoolReport {
        let replicas = self.replicas.iter().map(|one| Replica {
            id: Arc::clone(&one.id),
            state: one.state,
            since: one.since,
            restarting: one.restarting,
        });
        PoolReport {
            pool: Arc::from(self.pool.as_str()),
            at: now,
            desired: self.desired,
            standby: self.standby,
            can_standby: self.can_standby,
            rolling_out: self.rolling,
            replicas: replicas.collect(),
        }
    }

    pub(super) fn samples(&mut self, now: Time) -> Vec<Sample> {
        let mut samples = Vec::new();
        for one in self.replicas.iter_mut().filter(|o| o.state == ReplicaState::Ready && o.ill != Some(Ill::Mute)) {
            if one.ill != Some(Ill::Frozen) {
                let gauges = self.gauges.iter().map(|(name, value)| (name.clone(), Reading::Gauge(*value)));
                let counters = one.counters.iter().map(|(name, value)| (name.clone(), Reading::Counter(*value)));
                one.page = gauges.chain(counters).collect();
                one.stalled += u32::from(one.ill == Some(Ill::Stalled));
            }
            for (signal, reading) in one.page.iter().filter(|(signal, _)| !one.without.contains(signal)) {
                let ill = |value: f64| match one.ill {
                    Some(Ill::Nan) => f64::NAN,
                    Some(Ill::Negative) => -1.0,
                    Some(Ill::Garbage) => 1e15,
                    _ if signal == "kv-cache-usage" => value + f64::from(one.stalled) / 1e4,
                    _ => value,
                };
                let reading = match reading {
                    Reading::Gauge(value) => Reading::Gauge(ill(*value)),
                    Reading::Counter(value) => Reading::Counter(ill(*value)),
                    Reading::Histogram(h) => Reading::Histogram(Arc::clone(h)),
                };
                let origin = Origin::Replica { pool: Arc::from(self.pool.as_str()), replica: Arc::clone(&one.id) };
                samples.push(Sample {
                    origin,
                    signal: Arc::from(signal.as_str()),
                    labels: Vec::new(),
                    at: now,
                    reading,
                });
            }
        }
        samples
    }

    pub(super) fn apply(&mut self, action: &Action, now: Time) -> Option<Outcome> {
        if self.hangs {
            return None;
        }
        if !self.ignores {
            (self.desired, self.standby) = (action.serving, action.standby);
            self.settle(&action.remove_first, now);
        }
        if self.swallows {
            return None;
        }
        let (decision, pool) = (action.decision.clone(), action.pool.clone());
        Some(Outcome { decision, pool, state: self.mood, message: String::new() })
    }

    /// Brings the replicas to what is desired: standby ones wake first, the named ones go first, then the youngest.
    fn settle(&mut self, remove_first: &[String], now: Time) {
        let serves = |o: &One| matches!(o.state, ReplicaState::Ready | ReplicaState::Starting);
        while (self.replicas.iter().filter(|o| serves(o)).count() as u32) < self.desired {
            match self.replicas.iter_mut().find(|o| o.state == ReplicaState::Standby) {
                Some(one) => (one.state, one.since) = (ReplicaState::Ready, now),
                None => self.spawn(ReplicaState::Starting, now),
            }
        }
        let first: BTreeSet<&str> = remove_first.iter().map(String::as_str).collect();
        while self.replicas.iter().filter(|o| serves(o)).count() as u32 > self.desired {
            let named = self.replicas.iter().position(|o| first.contains(&*o.id));
            let Some(index) = named.or_else(|| self.replicas.iter().rposition(serves)) else { break };
            self.replicas.remove(index);
        }
        while (self.replicas.iter().filter(|o| o.state == ReplicaState::Standby).count() as u32) < self.standby {
            self.spawn(ReplicaState::Standby, now);
        }
        while self.replicas.iter().filter(|o| o.state == ReplicaState::Standby).count() as u32 > self.standby {
            let Some(index) = self.replicas.iter().rposition(|o| o.state == ReplicaState::Standby) else { break };
            self.replicas.remove(index);
        }
    }
}
