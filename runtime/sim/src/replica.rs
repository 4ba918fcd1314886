//! One replica: a queue, a batch, a KV cache, and steps that take time.
//!
//! For: which request gets which token when. Scheduling follows vLLM's: sequences that run go first, in the order they
//! were admitted, each with its next token or the next chunk of its prompt; when the cache is full the latest admitted
//! gives way and is computed anew later; then the queue is admitted in order of arrival while sequences, tokens of the
//! step and cache blocks last.
//!
//! Never: reads a clock (callers say what time it is), loses a request, or takes more cache than there is. Not modelled:
//! prefix sharing, speculative decoding, swapping to host memory, priorities.

use std::collections::VecDeque;
use std::time::Duration;

use crate::kv::{KvCache, blocks_for};
use crate::moment::Moment;
use crate::profile::Profile;
use crate::startup::Startup;
use crate::step::StepWork;

mod event;
mod sequence;
#[cfg(test)]
mod tests;

pub use event::{Counters, Event, EventKind};
use sequence::Sequence;

/// Names a request within its replica; grows by one with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a client asks: how much to read and how much to write, in tokens. Zero of either counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Prompt length.
    pub prompt_tokens: u32,
    /// Output length; a simulated model always writes this much.
    pub output_tokens: u32,
}

/// A request that this replica could never finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{prompt_tokens} prompt tokens and {output_tokens} output tokens exceed the context length of {limit} tokens")]
pub struct TooLong {
    /// As asked.
    pub prompt_tokens: u32,
    /// As asked.
    pub output_tokens: u32,
    /// Prompt and output together, at most: the model's context or the whole cache, whichever is less.
    pub limit: u32,
}

/// Whether the replica works, and if not, until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Loading; ready at this instant.
    Starting {
        /// When it will be ready.
        until: Moment,
    },
    /// Serving.
    Awake,
    /// Holds its GPUs, computes nothing; requests wait.
    Asleep {
        /// 0 paused, 1 weights in host memory, 2 weights discarded.
        level: u8,
    },
    /// On its way from asleep to awake.
    Waking {
        /// When it will serve.
        until: Moment,
    },
}

#[derive(Debug, Clone, Copy)]
struct Step {
    began: Moment,
    ends: Moment,
}

/// One serving replica.
#[derive(Debug, Clone)]
pub struct Replica {
    profile: Profile,
    phase: Phase,
    now: Moment,
    next_id: u64,
    /// In order of arrival; preempted sequences return to the front.
    waiting: VecDeque<Sequence>,
    /// In order of admission.
    running: Vec<Sequence>,
    step: Option<Step>,
    kv: KvCache,
    counters: Counters,
}

impl Replica {
    /// A replica launched `now`, ready after the delay that `startup` gives this `seed`.
    #[must_use]
    pub fn new(mut profile: Profile, startup: &Startup, seed: u64, now: Moment) -> Replica {
        // A step must be able to hold something, or nothing would ever finish.
        profile.max_seqs = profile.max_seqs.max(1);
        profile.max_batched_tokens = profile.max_batched_tokens.max(1);
        Replica {
            kv: KvCache::for_tokens(profile.kv_tokens),
            profile,
            phase: Phase::Starting { until: now + startup.delay(seed) },
            now,
            next_id: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            step: None,
            counters: Counters::default(),
        }
    }

    /// What it is.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether it works.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Requests in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Requests in the batch.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// The KV cache.
    #[must_use]
    pub fn kv(&self) -> &KvCache {
        &self.kv
    }

    /// What it did so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Longest prompt plus output, in tokens, that it takes.
    #[must_use]
    pub fn context_limit(&self) -> u32 {
        self.profile.max_model_len.min(self.kv.capacity() * crate::kv::BLOCK_TOKENS)
    }

    /// Queues a request that arrives `now` (not before what was last advanced to). Work begins with the next `advance`.
    pub fn submit(&mut self, request: Request, now: Moment) -> Result<RequestId, TooLong> {
        let Request { prompt_tokens, output_tokens } = request;
        let (prompt, output) = (prompt_tokens.max(1), output_tokens.max(1));
        let limit = self.context_limit();
        if u64::from(prompt) + u64::from(output) > u64::from(limit) {
            return Err(TooLong { prompt_tokens, output_tokens, limit });
        }
        self.now = self.now.max(now);
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.counters.submitted += 1;
        self.waiting.push_back(Sequence::new(id, prompt, output, self.now));
        Ok(id)
    }

    /// Forgets a request that has not finished; its blocks are free at once, the step it is in runs to its end. False
    /// when there is no such request (any more).
    pub fn cancel(&mut self, id: RequestId) -> bool {
        let cancelled = if let Some(at) = self.running.iter().position(|s| s.id == id) {
            let sequence = self.running.remove(at);
            self.kv.give(sequence.blocks);
            true
        } else if let Some(at) = self.waiting.iter().position(|s| s.id == id) {
            self.waiting.remove(at);
            true
        } else {
            false
        };
        self.counters.cancelled += u64::from(cancelled);
        cancelled
    }

    /// Falls asleep. Level 0 finishes the step it is in and keeps the cache; deeper levels drop both, and what ran is
    /// computed anew after the wake. Does nothing while starting.
    pub fn sleep(&mut self, level: u8, now: Moment) {
        if matches!(self.phase, Phase::Starting { .. }) {
            return;
        }
        self.now = self.now.max(now);
        self.phase = Phase::Asleep { level };
        if level > 0 {
            self.step = None;
            while let Some(sequence) = self.running.pop() {
                self.requeue(sequence);
            }
        }
    }

    /// Begins to wake; awake after the profile's delay for the level. Does nothing unless asleep.
    pub fn wake(&mut self, now: Moment) {
        if let Phase::Asleep { level } = self.phase {
            self.now = self.now.max(now);
            self.phase = Phase::Waking { until: self.now + self.profile.wake_delay(level) };
        }
    }

    /// When something happens next, if nothing is submitted before. `None`: idle or asleep.
    #[must_use]
    pub fn next_event(&self) -> Option<Moment> {
        let phase = match self.phase {
            Phase::Starting { until } | Phase::Waking { until } => Some(until),
            Phase::Awake if self.step.is_none() && self.has_work() => Some(self.now),
            Phase::Awake | Phase::Asleep { .. } => None,
        };
        match (phase, self.step.map(|step| step.ends)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Lets everything up to and including `to` happen, and says what did, in order.
    pub fn advance(&mut self, to: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(at) = self.next_event().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.end_phase(&mut events);
            self.end_step(&mut events);
            if self.phase == Phase::Awake && self.step.is_none() && self.has_work() {
                self.begin_step(&mut events);
            }
        }
        self.now = self.now.max(to);
        events
    }

    fn has_work(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    fn end_phase(&mut self, events: &mut Vec<Event>) {
        let kind = match self.phase {
            Phase::Starting { until } if until <= self.now => EventKind::Ready,
            Phase::Waking { until } if until <= self.now => EventKind::Awake,
            _ => return,
        };
        self.phase = Phase::Awake;
        events.push(Event { at: self.now, kind });
    }

    fn end_step(&mut self, events: &mut Vec<Event>) {
        let Some(step) = self.step.take_if(|step| step.ends <= self.now) else { return };
        self.counters.steps += 1;
        self.counters.busy += step.ends.since(step.began);
        let Replica { running, kv, counters, now, .. } = self;
        running.retain_mut(|sequence| {
            if !sequence.complete_chunk() {
                return true;
            }
            counters.output_tokens += 1;
            let (request, at) = (sequence.id, *now);
            let kind = if sequence.generated == 1 {
                counters.prompt_tokens += u64::from(sequence.prompt);
                EventKind::FirstToken { request, since_arrival: at.since(sequence.arrived) }
            } else {
                let since_previous = at.since(sequence.last_token);
                EventKind::NextToken { request, index: sequence.generated, since_previous }
            };
            sequence.last_token = at;
            events.push(Event { at, kind });
            if sequence.generated < sequence.output {
                return true;
            }
            counters.completed += 1;
            kv.give(sequence.blocks);
            events.push(Event {
                at,
                kind: EventKind::Finished {
                    request,
                    since_arrival: at.since(sequence.arrived),
                    tokens: sequence.output,
                },
            });
            false
        });
    }

    fn begin_step(&mut self, events: &mut Vec<Event>) {
        let mut budget = self.profile.max_batched_tokens;
        let mut work = StepWork::default();
        let preempted = self.schedule_running(&mut budget, &mut work, events);
        if !preempted {
            self.admit_waiting(&mut budget, &mut work, events);
        }
        self.step = Some(Step { began: self.now, ends: self.now + self.profile.step.duration(&work) });
    }

    /// Gives each running sequence its next tokens; true when one had to give way.
    fn schedule_running(&mut self, budget: &mut u32, work: &mut StepWork, events: &mut Vec<Event>) -> bool {
        let mut preempted = false;
        let mut index = 0;
        while index < self.running.len() && *budget > 0 {
            let sequence = &mut self.running[index];
            let n = sequence.pending().min(*budget);
            let more = blocks_for(sequence.computed + n) - sequence.blocks;
            if self.kv.take(more) {
                sequence.schedule(n, more, work);
                *budget -= n;
                index += 1;
            } else if let Some(latest) = self.running.pop() {
                // The latest admitted has nothing scheduled in this step yet: at worst it is this one itself. The first
                // always finds room, because a request larger than the whole cache is refused at submission.
                preempted = true;
                self.counters.preemptions += 1;
                events.push(Event { at: self.now, kind: EventKind::Preempted { request: latest.id } });
                self.requeue(latest);
            }
        }
        preempted
    }

    fn admit_waiting(&mut self, budget: &mut u32, work: &mut StepWork, events: &mut Vec<Event>) {
        while self.running.len() < self.profile.max_seqs as usize && *budget > 0 {
            let Some(front) = self.waiting.front() else { return };
            let n = front.pending().min(*budget);
            let blocks = blocks_for(n);
            if !self.kv.take(blocks) {
                return;
            }
            let Some(mut sequence) = self.waiting.pop_front() else { return };
            sequence.schedule(n, blocks, work);
            *budget -= n;
            if !sequence.admitted {
                sequence.admitted = true;
                let queued = self.now.since(sequence.arrived);
                events.push(Event { at: self.now, kind: EventKind::Admitted { request: sequence.id, queued } });
            }
            self.running.push(sequence);
        }
    }

    /// Back to the front of the queue with nothing computed; tokens already sent stay sent.
    fn requeue(&mut self, mut sequence: Sequence) {
        self.kv.give(sequence.blocks);
        sequence.reset();
        self.waiting.push_front(sequence);
    }

    /// Share of the time since `from` that it spent computing, given the counters at `from`. 0 to 1.
    #[must_use]
    pub fn duty_cycle(&self, busy_at_from: Duration, from: Moment) -> f64 {
        let passed = self.now.since(from).as_secs_f64();
        let in_step = self.step.map_or(Duration::ZERO, |step| self.now.since(step.began));
        let busy = (self.counters.busy + in_step).saturating_sub(busy_at_from).as_secs_f64();
        if passed > 0.0 { (busy / passed).min(1.0) } else { 0.0 }
    }
}
