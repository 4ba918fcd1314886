//! Who serves, who sleeps and who goes, so that the totals are as asked.
//!
//! For: choosing replicas. Up: one that still drains, then one that sleeps, then a new one. Down: what was named (silent),
//! then failed, restarting, starting (the youngest first), then ready with the least work. Never more than the totals.

use std::cmp::Reverse;

use trimtab_control::sample::ReplicaState;
use trimtab_control::time::Time;

use super::pool::{Pool, number};
use super::record::{Goal, Phase};
use super::replica::Replica;

impl Pool {
    /// Gives every replica its goal. Changes nothing where the goals add up already.
    pub(super) fn plan(&mut self, first: &[String], now: Time) {
        self.clear_lacking();
        let Some(asked) = &self.asked else { return };
        let (serving, standby) = (asked.serving, asked.standby);
        while self.count(Goal::Serve) < serving {
            if !self.turn(Goal::Serve, for_serving) && !self.create(Goal::Serve, now) {
                break;
            }
        }
        while self.count(Goal::Serve) > serving {
            let sleeps = self.count(Goal::Standby) < standby;
            self.take_away(first, sleeps);
        }
        while self.count(Goal::Standby) < standby {
            if !self.turn(Goal::Standby, for_standby) && !self.create(Goal::Standby, now) {
                break;
            }
        }
        while self.count(Goal::Standby) > standby {
            self.turn(Goal::End, from_standby);
        }
    }

    /// Gives the replica of the lowest rank another goal; false: none has a rank.
    fn turn<R: Ord>(&mut self, goal: Goal, rank: impl Fn(&Replica) -> Option<R>) -> bool {
        let ranked = self.replicas.values_mut().filter_map(|replica| Some((rank(replica)?, replica)));
        let Some((_, replica)) = ranked.min_by(|a, b| a.0.cmp(&b.0)) else { return false };
        replica.kept.goal = goal;
        true
    }

    /// One serving replica less: to sleep where one is wanted there and it is well, else away.
    fn take_away(&mut self, first: &[String], sleeps: bool) {
        let named = |replica: &Replica| first.contains(&replica.kept.name);
        let serving = self.replicas.values_mut().filter(|replica| replica.kept.goal == Goal::Serve);
        let Some(victim) = serving.min_by_key(|replica| victim(replica, named(replica))) else { return };
        victim.kept.unwell |= named(victim);
        let well = !victim.kept.unwell && victim.kept.phase.has_process();
        victim.kept.goal = if sleeps && well { Goal::Standby } else { Goal::End };
    }
}

/// The sooner it would serve, the lower. What drains for good comes before what drains to sleep: the standby tier stays.
fn for_serving(replica: &Replica) -> Option<(u8, Reverse<Time>)> {
    let kept = &replica.kept;
    let class = match (kept.goal, kept.phase) {
        (Goal::Serve, _) => return None,
        _ if kept.unwell => return None,
        (Goal::End, Phase::Draining) => 0,
        (Goal::Standby, Phase::Ready | Phase::Draining) => 1,
        (Goal::Standby, Phase::Standby) => 2,
        (Goal::Standby, Phase::Entering | Phase::Leaving) => 3,
        (Goal::Standby, Phase::Starting) => 4,
        _ => return None,
    };
    Some((class, Reverse(kept.entered)))
}

/// What drains for good can go to sleep instead.
fn for_standby(replica: &Replica) -> Option<Reverse<Time>> {
    let kept = &replica.kept;
    (kept.goal == Goal::End && kept.phase == Phase::Draining && !kept.unwell).then_some(Reverse(kept.entered))
}

/// What is not asleep yet goes first, the farthest from it before all; then the newest sleeper.
fn from_standby(replica: &Replica) -> Option<(u8, Reverse<Time>)> {
    let kept = &replica.kept;
    let class = match kept.phase {
        _ if kept.goal != Goal::Standby => return None,
        Phase::Failed { .. } => 0,
        Phase::Waiting { .. } | Phase::Intended | Phase::Ending => 1,
        Phase::Starting | Phase::Leaving => 2,
        Phase::Entering | Phase::Ready | Phase::Draining => 3,
        Phase::Standby => 4,
    };
    Some((class, Reverse(kept.entered)))
}

/// Work that is not known counts as none: such a replica has not been read yet, and drains like any other.
fn victim(replica: &Replica, named: bool) -> (u8, u64, Reverse<Time>, Reverse<u64>) {
    let kept = &replica.kept;
    let class = match replica.state() {
        _ if named => 0,
        ReplicaState::Failed => 1,
        ReplicaState::Starting if kept.restarting => 2,
        ReplicaState::Starting => 3,
        ReplicaState::Ready | ReplicaState::Draining | ReplicaState::Standby => 4,
    };
    // In thousandths, so that it can be ordered; a count of requests is far from the limit.
    let work = if class == 4 { (replica.work.unwrap_or(0.0).max(0.0) * 1000.0) as u64 } else { 0 };
    (class, work, Reverse(kept.created), Reverse(number(&kept.name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail

    use std::collections::BTreeMap;
    use std::sync::Arc;

    use trimtab_control::config::WorkloadId;
    use trimtab_control::time::Span;

    use super::super::ports::Ports;
    use super::*;
    use crate::target::{DrainSpec, ProcessSpec, ReadySpec};

    const NOW: Time = Time(1_000_000);

    /// A pool of replicas `1`, `2`... in the given phases, each a second older than the next.
    fn pool(replicas: &[(Goal, Phase)]) -> Pool {
        let spec = ProcessSpec {
            command: vec!["true".into()],
            ports: 15_000..=15_019,
            env: BTreeMap::new(),
            working_dir: None,
            ready: ReadySpec::default(),
            drain: DrainSpec::default(),
            standby: None,
        };
        let id = WorkloadId { namespace: "default".into(), name: "m".into() };
        let mut pool = Pool::new(&id, "p", spec, Arc::new(Ports::default()));
        pool.ask(replicas.len() as u32, 0, "", &[], NOW);
        for (number, (goal, phase)) in replicas.iter().enumerate() {
            let replica = pool.replicas.get_mut(&format!("m-p-{}", number + 1)).unwrap();
            let created = NOW - Span::seconds(100 - number as u64);
            (replica.kept.goal, replica.kept.phase) = (*goal, *phase);
            (replica.kept.created, replica.kept.entered) = (created, created);
        }
        pool
    }

    fn goals(pool: &Pool) -> Vec<Goal> {
        pool.replicas.values().map(|replica| replica.kept.goal).collect()
    }

    #[test]
    fn down_takes_away_what_is_worth_least() {
        use Goal::{End, Serve};
        let phases = [
            (Serve, Phase::Ready),
            (Serve, Phase::Ready),
            (Serve, Phase::Ready),
            (Serve, Phase::Starting),
            (Serve, Phase::Starting),
            (Serve, Phase::Waiting { until: NOW }),
            (Serve, Phase::Failed { until: NOW }),
        ];
        let order = [1, 7, 6, 5, 4, 3, 2];
        for gone in 0..=phases.len() {
            let mut pool = pool(&phases);
            for (name, work) in [("m-p-1", 9.0), ("m-p-2", 4.0), ("m-p-3", 4.0)] {
                pool.replicas.get_mut(name).unwrap().work = Some(work);
            }
            pool.replicas.get_mut("m-p-6").unwrap().kept.restarting = true;
            pool.ask((phases.len() - gone) as u32, 0, "", &["m-p-1".into()], NOW);
            let expected: Vec<Goal> =
                (1..=7).map(|number| if order[..gone].contains(&number) { End } else { Serve }).collect();
            assert_eq!(goals(&pool), expected, "{gone} fewer");
        }
    }

    #[test]
    fn what_is_not_known_to_work_goes_before_what_does() {
        let ready = (Goal::Serve, Phase::Ready);
        let mut pool = pool(&[ready, ready, ready]);
        pool.replicas.get_mut("m-p-1").unwrap().work = Some(0.0);
        pool.replicas.get_mut("m-p-3").unwrap().work = Some(1.0);
        pool.ask(2, 0, "", &[], NOW);
        assert_eq!(goals(&pool), [Goal::Serve, Goal::End, Goal::Serve], "the newer of the two");
    }

    #[test]
    fn up_takes_the_nearest_to_serving() {
        use Goal::{End, Serve, Standby};
        let phases = [
            (End, Phase::Ending),
            (Standby, Phase::Failed { until: NOW }),
            (Standby, Phase::Starting),
            (Standby, Phase::Entering),
            (Standby, Phase::Standby),
            (Standby, Phase::Draining),
            (End, Phase::Draining),
        ];
        let order = [7, 6, 5, 4, 3];
        for more in 0..=order.len() {
            let mut pool = pool(&phases);
            pool.ask(more as u32, 5 - more.saturating_sub(1) as u32, "", &[], NOW);
            let serving: Vec<usize> =
                (1..=7).filter(|number| pool.replicas[&format!("m-p-{number}")].kept.goal == Serve).collect();
            let mut expected = order[..more].to_vec();
            expected.sort_unstable();
            assert_eq!((serving, pool.replicas.len()), (expected, 7), "{more} more");
        }
        let mut pool = pool(&phases);
        pool.ask(7, 0, "", &[], NOW);
        assert_eq!(pool.replicas.len(), 9, "the rest is new");
        assert_eq!(pool.count(Serve), 7);
    }

    #[test]
    fn what_is_taken_away_sleeps_where_that_is_wanted() {
        use Goal::{End, Serve, Standby};
        let ready = (Serve, Phase::Ready);
        let mut pool = pool(&[ready, ready, ready, ready]);
        pool.ask(1, 2, "", &["m-p-1".into()], NOW);
        // What was silent goes for good; a new one will sleep in its place only where there is none left.
        assert_eq!(goals(&pool), [End, Serve, Standby, Standby]);
        pool.ask(1, 1, "", &[], NOW);
        assert_eq!(pool.count(Standby), 1);
        pool.ask(0, 0, "", &[], NOW);
        assert_eq!(goals(&pool), [End; 4]);
    }
}
