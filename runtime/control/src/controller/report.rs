//! The workload's status, put together from what the controller knows.
//!
//! For: `status`, metrics and people. Never changes anything.

use super::Controller;
use super::doubts::{first_few, in_use};
use crate::decision::{InputKind, Rule};
use crate::sample::ReplicaState;
use crate::saved::Slot;
use crate::status::{Condition, ConditionType, PoolStatus, StageState, StageStatus, Status};
use crate::time::Time;

fn condition(kind: ConditionType, status: bool, reason: &str, message: String) -> Condition {
    Condition { kind, status, reason: reason.to_owned(), message }
}

impl Controller {
    /// What the workload is now.
    pub fn status(&self, now: Time) -> Status {
        let pools: Vec<PoolStatus> = self.config.pools.iter().map(|p| self.pool_status(p, now)).collect();
        let policies: Vec<StageStatus> = (0..self.config.stages.len()).map(|i| self.stage_status(i)).collect();
        let conditions = vec![
            ready(&pools),
            policies_loaded(&policies),
            self.fresh(now),
            self.limited(),
            self.conflict(),
            self.paused(now),
        ];
        Status {
            namespace: self.config.id.namespace.clone(),
            name: self.config.id.name.clone(),
            conditions,
            pools,
            policies,
            last_decision: self.decisions().next().map(|d| d.id.clone()),
        }
    }

    fn pool_status(&self, config: &crate::config::PoolConfig, now: Time) -> PoolStatus {
        let count = |state| self.fleet.count(&config.name, state);
        let starts = self.facts.pools.get(&config.name).map(|m| &m.starts);
        let expected = starts.map(|s| s.expected(config.startup, now)).unwrap_or_default();
        let (p50, p90) = starts.map_or((config.startup, config.startup), |s| s.quantiles(config.startup, now));
        PoolStatus {
            name: config.name.clone(),
            min: config.min,
            max: config.max,
            desired: self.present(&config.name).serving,
            ready: count(ReplicaState::Ready),
            starting: expected.starting,
            draining: count(ReplicaState::Draining),
            standby: count(ReplicaState::Standby),
            stuck: expected.stuck,
            failed: count(ReplicaState::Failed),
            silent: self.windows.silent(&config.name, self.limits(), now).iter().map(ToString::to_string).collect(),
            reported_at: self.fleet.report(&config.name).map(|r| r.at),
            startup_p50_ms: p50.0,
            startup_p90_ms: p90.0,
        }
    }

    fn stage_status(&self, index: usize) -> StageStatus {
        let config = &self.config.stages[index];
        let cell = self.chain.cell(index, Slot::Stage);
        let loaded = cell.and_then(|c| c.loaded.as_ref());
        let refused = cell.and_then(|c| c.refused.as_ref());
        let (state, fault) = match (loaded, refused, self.chain.failed(index)) {
            (Some(_), None, None) => (StageState::Ok, None),
            (Some(_), Some(refused), None) => (StageState::LastGood, Some(refused)),
            (Some(_), _, Some(failed)) => (StageState::Failed, Some(failed)),
            (None, refused, failed) => (StageState::Failed, refused.or(failed)),
        };
        let message = match fault {
            Some(fault) => format!("{}: {}", fault.code, fault.message),
            None if loaded.is_none() => "not loaded yet".to_owned(),
            None => String::new(),
        };
        StageStatus {
            name: config.name.clone(),
            policy: config.module.policy.clone(),
            digest: loaded.map_or_else(String::new, |l| l.module.digest.clone()),
            state,
            message,
        }
    }

    fn fresh(&self, now: Time) -> Condition {
        let kind = ConditionType::MetricsFresh;
        let silent = self.windows.silent_everywhere(self.limits(), now);
        let Some(last) = self.decisions().next() else {
            return condition(kind, false, "NoDecisionYet", "no decision has been made yet".to_owned());
        };
        // An optional series that was never seen is no complaint.
        let needs = self.chain.needs();
        let used = |signal: &str| needs.iter().any(|n| n.signal == signal && in_use(n, self.windows.seen()));
        let bad: Vec<String> = last
            .inputs
            .iter()
            .filter(|i| !matches!(i.kind, InputKind::Fresh | InputKind::Reset) && used(&i.signal))
            .map(|i| format!("{} is {}", i.signal, format!("{:?}", i.kind).to_lowercase()))
            .collect();
        if !silent.is_empty() {
            let lasting = self.limits().silent_after;
            let names = first_few(silent.iter().map(ToString::to_string));
            let message = format!("no good data for {lasting}, so they no longer count and go first: {names}");
            return condition(kind, false, "SilentReplicas", message);
        }
        if self.windows.dropped() > 0 {
            let message = format!("{} samples were dropped: too many series", self.windows.dropped());
            return condition(kind, false, "TooManySeries", message);
        }
        if bad.is_empty() {
            return condition(kind, true, "Fresh", "every series in use is fresh".to_owned());
        }
        condition(kind, false, "NotFresh", bad.join("; "))
    }

    fn limited(&self) -> Condition {
        let steps = self.decisions().next().map_or(&[][..], |d| &d.guardrails);
        let bit: Vec<&str> = steps
            .iter()
            .filter(|s| !matches!(s.rule, Rule::Pause | Rule::Override))
            .filter(|s| s.from != s.to || s.standby_from != s.standby_to)
            .map(|s| s.why.as_str())
            .collect();
        let reason = if bit.is_empty() { "AsProposed" } else { "Limited" };
        let message = if bit.is_empty() { "the last proposal was taken as it was".to_owned() } else { bit.join("; ") };
        condition(ConditionType::ScalingLimited, !bit.is_empty(), reason, message)
    }

    fn conflict(&self) -> Condition {
        let mut conflicts = Vec::new();
        for (name, memory) in &self.facts.pools {
            let on_its_way = memory.changes.back().is_some_and(|c| !c.accepted);
            if let (Some((serving, _, at)), Some(report)) = (memory.asked, self.fleet.report(name))
                && !on_its_way
                && report.at > at
                && report.desired != serving
            {
                conflicts.push(format!("pool {name} was set to {serving} and is {} now", report.desired));
            }
        }
        let reason = if conflicts.is_empty() { "OneWriter" } else { "ChangedElsewhere" };
        let message =
            if conflicts.is_empty() { "nobody else changes the pools".to_owned() } else { conflicts.join("; ") };
        condition(ConditionType::Conflict, !conflicts.is_empty(), reason, message)
    }

    fn paused(&self, now: Time) -> Condition {
        match self.facts.pause.as_ref().filter(|standing| standing.until > now) {
            Some(standing) => {
                let message = format!("for another {}: {}", standing.until.since(now), standing.reason);
                condition(ConditionType::Paused, true, "Paused", message)
            }
            None => condition(ConditionType::Paused, false, "Running", String::new()),
        }
    }
}

fn ready(pools: &[PoolStatus]) -> Condition {
    let kind = ConditionType::Ready;
    if let Some(pool) = pools.iter().find(|p| p.reported_at.is_none()) {
        return condition(kind, false, "NotReported", format!("the target of pool {} has not answered yet", pool.name));
    }
    let short: Vec<String> = pools
        .iter()
        .filter(|p| p.ready < p.desired)
        .map(|p| {
            format!(
                "pool {}: {} of {} ready, {} starting, {} stuck, {} failed",
                p.name, p.ready, p.desired, p.starting, p.stuck, p.failed
            )
        })
        .collect();
    if short.is_empty() {
        return condition(kind, true, "AllReady", "every pool has what was asked for".to_owned());
    }
    condition(kind, false, "NotAllReady", short.join("; "))
}

fn policies_loaded(policies: &[StageStatus]) -> Condition {
    let kind = ConditionType::PoliciesLoaded;
    let bad: Vec<String> = policies
        .iter()
        .filter(|p| p.state != StageState::Ok)
        .map(|p| format!("stage {}: {}", p.name, p.message))
        .collect();
    if bad.is_empty() {
        return condition(kind, true, "Loaded", "every stage has its module".to_owned());
    }
    let reason = if policies.iter().any(|p| p.state == StageState::Failed) { "Failed" } else { "LastGood" };
    condition(kind, false, reason, bad.join("; "))
}
