//! The memory of one store, summed.
//!
//! For: a bound on all memories and tables of a guest together; the engine's own limiter counts each memory alone, so a
//! component of many memories would get many times the limit. Never frees: a store lives for one call.

use wasmtime::ResourceLimiter;

/// What one table element costs the host, bytes.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// Counts growth, and remembers that some was refused.
pub(crate) struct Memory {
    limit: usize,
    used: usize,
    /// The growth granted last, given back if it then fails.
    granted: usize,
    refused: bool,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Memory { limit, used: 0, granted: 0, refused: false }
    }

    /// True when the guest asked for more than there is.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, bytes: usize) -> bool {
        let wanted = self.used.saturating_add(bytes);
        if wanted > self.limit {
            self.refused = true;
            return false;
        }
        self.used = wanted;
        self.granted = bytes;
        true
    }

    fn give_back(&mut self) {
        self.used -= self.granted;
        self.granted = 0;
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|m| desired <= m) && self.grow(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.give_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT);
        Ok(maximum.is_none_or(|m| desired <= m) && self.grow(bytes))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.give_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        128
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiter;

    use super::Memory;

    #[test]
    fn sums_over_memories_and_tables() {
        let mut memory = Memory::new(1000);
        assert!(memory.memory_growing(0, 400, None).expect("never fails"));
        assert!(memory.memory_growing(0, 400, None).expect("never fails"));
        assert!(memory.table_growing(0, 25, None).expect("never fails"));
        assert!(!memory.refused());
        assert!(!memory.memory_growing(400, 401, None).expect("never fails"));
        assert!(memory.refused());
    }

    #[test]
    fn growth_that_fails_is_given_back_and_a_declared_maximum_is_not_the_hosts() {
        let mut memory = Memory::new(1000);
        assert!(memory.memory_growing(0, 900, None).expect("never fails"));
        memory.memory_grow_failed(wasmtime::Error::msg("no")).expect("never fails");
        assert!(memory.memory_growing(0, 1000, None).expect("never fails"));
        assert!(!memory.memory_growing(1000, 2000, Some(1000)).expect("never fails"));
        assert!(!memory.refused());
    }
}
