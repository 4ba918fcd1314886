//! One request inside a replica: how much of it is computed.

use crate::moment::Moment;
use crate::replica::RequestId;
use crate::step::StepWork;

/// A request on its way through the queue and the batch. Token counts throughout.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) id: RequestId,
    pub(super) prompt: u32,
    pub(super) output: u32,
    pub(super) arrived: Moment,
    /// Whether it was in a batch before (a preempted one was).
    pub(super) admitted: bool,
    /// Tokens in the KV cache.
    pub(super) computed: u32,
    /// Output tokens produced.
    pub(super) generated: u32,
    /// Tokens being computed in the present step.
    pub(super) chunk: u32,
    /// Cache blocks held.
    pub(super) blocks: u32,
    pub(super) last_token: Moment,
}

impl Sequence {
    pub(super) fn new(id: RequestId, prompt: u32, output: u32, arrived: Moment) -> Sequence {
        Sequence {
            id,
            prompt,
            output,
            arrived,
            admitted: false,
            computed: 0,
            generated: 0,
            chunk: 0,
            blocks: 0,
            last_token: arrived,
        }
    }

    /// Tokens that must be computed before the next one can be produced: the rest of the prompt (and, after a
    /// preemption, of what was already written), or the one token written last.
    pub(super) fn pending(&self) -> u32 {
        self.prompt + self.generated - self.computed
    }

    /// Puts `n` tokens in the present step, with `more` blocks taken for them.
    pub(super) fn schedule(&mut self, n: u32, more: u32, work: &mut StepWork) {
        if n == 1 && self.generated > 0 && self.pending() == 1 {
            work.decode(self.computed + 1);
        } else {
            work.prefill(n, self.computed);
        }
        self.chunk = n;
        self.blocks += more;
    }

    /// Ends the step for this sequence; true when it produced a token.
    pub(super) fn complete_chunk(&mut self) -> bool {
        if self.chunk == 0 {
            return false;
        }
        self.computed += self.chunk;
        self.chunk = 0;
        let produced = self.pending() == 0;
        self.generated += u32::from(produced);
        produced
    }

    /// Nothing computed, nothing held.
    pub(super) fn reset(&mut self) {
        self.computed = 0;
        self.chunk = 0;
        self.blocks = 0;
    }
}
