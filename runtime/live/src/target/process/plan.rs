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
