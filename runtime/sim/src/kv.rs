//! The KV cache as a count of blocks.
//!
//! For: whether a sequence's next tokens fit. Blocks are interchangeable, so the cache is a number and each sequence
//! holds a number of them; sharing of prefixes is not modelled. Never decides who gives way.

/// Tokens in one block, as engines allocate by default.
pub const BLOCK_TOKENS: u32 = 16;

/// Blocks that `tokens` tokens occupy.
#[must_use]
pub fn blocks_for(tokens: u32) -> u32 {
    tokens.div_ceil(BLOCK_TOKENS)
}

/// A cache of a fixed number of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvCache {
    capacity: u32,
    used: u32,
}

impl KvCache {
    /// A cache for `tokens` tokens, rounded down to whole blocks.
    #[must_use]
    pub fn for_tokens(tokens: u32) -> KvCache {
        KvCache { capacity: tokens / BLOCK_TOKENS, used: 0 }
    }

    /// Blocks there are.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Blocks in use; never more than there are.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Share in use, 0 to 1.
    #[must_use]
    pub fn usage(&self) -> f64 {
        if self.capacity == 0 { 0.0 } else { f64::from(self.used) / f64::from(self.capacity) }
    }

    /// Takes `blocks`, or takes none and says no.
    #[must_use]
    pub fn take(&mut self, blocks: u32) -> bool {
        let fits = blocks <= self.capacity - self.used;
        if fits {
            self.used += blocks;
        }
        fits
    }

    /// Gives `blocks` back.
    pub fn give(&mut self, blocks: u32) {
        debug_assert!(blocks <= self.used, "{blocks} blocks given back of {}", self.used);
        self.used = self.used.saturating_sub(blocks);
    }
}
