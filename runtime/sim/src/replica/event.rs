//! What a replica reports: events in order, and running totals.

use std::time::Duration;

use crate::moment::Moment;
use crate::replica::RequestId;

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Moment,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Start-up is over.
    Ready,
    /// A wake is over.
    Awake,
    /// A request entered the batch for the first time.
    Admitted {
        /// Which.
        request: RequestId,
        /// Time it spent in the queue.
        queued: Duration,
    },
    /// The first output token.
    FirstToken {
        /// Of which.
        request: RequestId,
        /// Time to first token.
        since_arrival: Duration,
    },
    /// Another output token.
    NextToken {
        /// Of which.
        request: RequestId,
        /// Output tokens so far, this one included.
        index: u32,
        /// Inter-token latency.
        since_previous: Duration,
    },
    /// The last token was produced.
    Finished {
        /// Which.
        request: RequestId,
        /// End-to-end latency.
        since_arrival: Duration,
        /// Output tokens.
        tokens: u32,
    },
    /// The cache was full: back to the queue, to be computed anew.
    Preempted {
        /// Which.
        request: RequestId,
    },
}

/// Totals since launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests accepted.
    pub submitted: u64,
    /// Requests finished.
    pub completed: u64,
    /// Requests cancelled before they finished.
    pub cancelled: u64,
    /// Prompt tokens of requests that got their first token.
    pub prompt_tokens: u64,
    /// Output tokens produced.
    pub output_tokens: u64,
    /// Times a request gave way because the cache was full.
    pub preemptions: u64,
    /// Steps completed.
    pub steps: u64,
    /// Time spent in completed steps.
    pub busy: Duration,
}
