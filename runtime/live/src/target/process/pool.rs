//! One pool of processes as plain values: what was asked, what there is, what has to be done.
//!
//! For: joining the replicas' own state machines with what is asked of the pool, and the report that comes of both. Time
//! is passed in, jobs come out. Never starts, signals or calls anything; ports are all that it looks at itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use trimtab_control::config::WorkloadId;
use trimtab_control::sample::{PoolReport, ReplicaState};
use trimtab_control::time::{Span, Time};
use trimtab_sandbox::clean;

use super::adopt::{Adopted, Trace};
use super::ports::Ports;
use super::record::{Asked, Goal, Kept, Phase};
use super::replica::{Job, Next, Replica};
use super::spawn::fill;
use crate::store::random_hex;
use crate::target::{Endpoint, ProcessSpec, TargetReport};

/// Until a missing port is looked for again.
const PORT_AGAIN: Span = Span::seconds(1);
/// Notes of one report.
const NOTES: usize = 16;
/// Bytes of one note.
const NOTE: usize = 800;

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    /// `NS/NAME/POOL`.
    pub(super) key: String,
    pub(super) name: Arc<str>,
    pub(super) spec: ProcessSpec,
    /// None: nothing was ever asked.
    pub(super) asked: Option<Asked>,
    pub(super) replicas: BTreeMap<String, Replica>,
    ports: Arc<Ports>,
    last_port: u16,
    /// Names of replicas begin with it.
    prefix: String,
    /// Why there are fewer replicas than asked for.
    lacking: Option<String>,
}

/// What has to be done now, and when to look again at the latest.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) jobs: Vec<(String, Job)>,
    pub(super) gone: Vec<Kept>,
    pub(super) wake: Option<Time>,
}

/// `NS/NAME/POOL`.
pub(super) fn key(id: &WorkloadId, pool: &str) -> String {
    format!("{id}/{pool}")
}

impl Pool {
    pub(super) fn new(id: &WorkloadId, name: &str, spec: ProcessSpec, ports: Arc<Ports>) -> Pool {
        let prefix = match id.namespace.as_str() {
            "default" => format!("{}-{name}", id.name),
            namespace => format!("{namespace}-{}-{name}", id.name),
        };
        Pool {
            key: key(id, name),
            name: name.into(),
            spec,
            asked: None,
            replicas: BTreeMap::new(),
            ports,
            last_port: 0,
            prefix,
            lacking: None,
        }
    }

    /// Takes up what was recorded of it and found of it.
    pub(super) fn restore(&mut self, asked: Option<Asked>, adopted: &Adopted, now: Time) {
        for (kept, trace) in &adopted.kept {
            let rebooted = kept.process.as_ref().is_some_and(|process| process.boot != adopted.boot);
            let mut replica = Replica::new(kept.clone());
            replica.resume(trace.clone(), rebooted, &self.spec, now);
            if let Trace::Later { port, .. } = trace {
                replica.kept.command = self.command(*port, &kept.name);
                self.ports.release(kept.port);
            }
            self.replicas.insert(kept.name.clone(), replica);
        }
        for (marks, process) in &adopted.strays {
            // Whether it was ready is not known any more: it is asked.
            let (name, token) = (marks.name.clone(), marks.token.clone());
            let kept = self.fresh(name, token, marks.port, Goal::Serve, Phase::Starting, now);
            let stray = || Replica::new(Kept { process: Some(process.clone()), nth: marks.nth, ..kept.clone() });
            self.replicas.entry(kept.name.clone()).or_insert_with(stray);
        }
        let known = asked.is_some();
        let mut asked = asked.unwrap_or_default();
        for replica in self.replicas.values() {
            self.ports.hold(replica.kept.port);
            asked.next = asked.next.max(number(&replica.kept.name).saturating_add(1));
        }
        if !known {
            // The state file was lost: what is there is what was asked.
            asked.serving = self.count(Goal::Serve);
            asked.standby = self.count(Goal::Standby);
        }
        if known || !self.replicas.is_empty() {
            self.asked = Some(asked);
        }
        let changed = |replica: &Replica, command: &[String]| {
            matches!(replica.kept.phase, Phase::Failed { .. }) && replica.kept.command != command
        };
        for name in self.replicas.keys().cloned().collect::<Vec<_>>() {
            let Some(replica) = self.replicas.get(&name) else { continue };
            let command = self.command(replica.kept.port, &name);
            if let Some(replica) = self.replicas.get_mut(&name)
                && changed(replica, &command)
            {
                // Someone may have repaired it while no daemon ran.
                replica.try_again(now);
            }
        }
    }

    /// Another way to run the same pool. What runs stays as it is; what has failed is tried again.
    pub(super) fn change(&mut self, spec: ProcessSpec, now: Time) {
        if spec == self.spec {
            return;
        }
        self.spec = spec;
        if self.spec.standby.is_none()
            && let Some(asked) = &mut self.asked
        {
            // There is no such tier any more.
            asked.standby = 0;
        }
        self.replicas.values_mut().for_each(|replica| replica.try_again(now));
    }

    /// Takes new totals, and decides at once who is taken away for them: `first`, by name, before all others.
    pub(super) fn ask(&mut self, serving: u32, standby: u32, decision: &str, first: &[String], now: Time) {
        let asked = self.asked.get_or_insert_default();
        asked.serving = serving;
        asked.standby = standby;
        asked.decision = clean(decision, 200);
        self.plan(first, now);
    }

    /// Everything that is due.
    pub(super) fn step(&mut self, now: Time) -> Step {
        let mut step = Step::default();
        self.plan(&[], now);
        let names: Vec<String> = self.replicas.keys().cloned().collect();
        for name in names {
            self.drive(&name, now, &mut step);
        }
        if self.lacking.is_some() {
            step.wake = Some(sooner(step.wake, now + PORT_AGAIN));
        }
        self.replicas.values_mut().for_each(|replica| replica.settle(now));
        step
    }

    pub(super) fn report(&self, now: Time, more: Option<&str>) -> TargetReport {
        let asked = self.asked.clone().unwrap_or_default();
        let lacking = self.lacking.iter().map(|line| clean(line, NOTE));
        let troubles = self.replicas.iter().filter_map(|(name, replica)| {
            let trouble = replica.trouble.as_ref()?;
            Some(clean(&format!("{name}: {trouble}"), NOTE))
        });
        let notes = more.iter().map(|line| clean(line, NOTE)).chain(lacking).chain(troubles).take(NOTES).collect();
        TargetReport {
            report: PoolReport {
                pool: self.name.clone(),
                at: now,
                desired: asked.serving,
                standby: asked.standby,
                can_standby: self.spec.standby.is_some(),
                rolling_out: false,
                replicas: self.replicas.values().map(Replica::report).collect(),
            },
            endpoints: self.replicas.values().filter(|replica| replica.answers()).map(|r| self.endpoint(r)).collect(),
            notes,
        }
    }

    pub(super) fn count(&self, goal: Goal) -> u32 {
        self.replicas.values().filter(|replica| replica.kept.goal == goal).count() as u32
    }

    /// One more replica, to be started; false: it cannot be, and why is noted.
    pub(super) fn create(&mut self, goal: Goal, now: Time) -> bool {
        let Ok(token) = random_hex() else {
            self.lacking = Some("no random number can be had from /proc/sys/kernel/random/uuid".into());
            return false;
        };
        let Some(port) = self.port() else { return false };
        let asked = self.asked.get_or_insert_default();
        let name = format!("{}-{}", self.prefix, asked.next.max(1));
        asked.next = asked.next.max(1) + 1;
        let kept = self.fresh(name, token, port, goal, Phase::Intended, now);
        self.replicas.insert(kept.name.clone(), Replica::new(kept));
        true
    }

    /// Lets go of everything: it was ended.
    pub(super) fn forget(&mut self) {
        self.replicas.values().for_each(|replica| self.ports.release(replica.kept.port));
        self.replicas.clear();
        self.asked = None;
    }

    pub(super) fn clear_lacking(&mut self) {
        self.lacking = None;
    }

    fn drive(&mut self, name: &str, now: Time, step: &mut Step) {
        loop {
            let Some(replica) = self.replicas.get_mut(name) else { return };
            match replica.next(&self.spec, now) {
                Next::Again => {}
                Next::Wait(until) => {
                    step.wake = until.map(|until| sooner(step.wake, until)).or(step.wake);
                    return;
                }
                Next::Do(job) => step.jobs.push((name.to_owned(), job)),
                Next::Gone => {
                    self.ports.release(replica.kept.port);
                    step.gone.extend(self.replicas.remove(name).map(|replica| replica.kept));
                    return;
                }
                Next::Port => {
                    // Let go first: in a full range it is the only one left. Nought is nobody's.
                    self.ports.release(std::mem::take(&mut replica.kept.port));
                    let Some(port) = self.port() else { return };
                    let command = self.command(port, name);
                    if let Some(replica) = self.replicas.get_mut(name) {
                        replica.restart(port, command, now);
                    }
                }
            }
        }
    }

    fn port(&mut self) -> Option<u16> {
        match self.ports.take(&self.spec.ports, self.last_port) {
            Ok(port) => {
                self.last_port = port;
                Some(port)
            }
            Err(last) => {
                self.last_port = last;
                let (first, end) = self.spec.ports.clone().into_inner();
                self.lacking =
                    Some(format!("no port of {first}-{end} is free: widen `ports`, or end what listens there"));
                None
            }
        }
    }

    fn fresh(&self, name: String, token: String, port: u16, goal: Goal, phase: Phase, now: Time) -> Kept {
        Kept {
            token,
            pool: self.key.clone(),
            port,
            command: self.command(port, &name),
            name,
            created: now,
            nth: 1,
            process: None,
            goal,
            phase,
            entered: now,
            since: now,
            restarting: false,
            unwell: false,
            deaths: Vec::new(),
            tries: 0,
            given_up: false,
        }
    }

    fn command(&self, port: u16, name: &str) -> Vec<String> {
        self.spec.command.iter().map(|word| fill(word, port, name, &self.name)).collect()
    }

    fn endpoint(&self, replica: &Replica) -> Endpoint {
        Endpoint {
            pool: self.name.clone(),
            replica: replica.kept.name.as_str().into(),
            url: format!("http://127.0.0.1:{}", replica.kept.port),
            serving: replica.state() == ReplicaState::Ready,
        }
    }
}

/// The number that a replica's name ends with; 0: none.
pub(super) fn number(name: &str) -> u64 {
    name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn sooner(wake: Option<Time>, at: Time) -> Time {
    wake.map_or(at, |wake| wake.min(at))
}
