//! The memory of one store, summed, and the number of its parts.
//!
//! For: a bound on all memories and tables of a guest together; the engine's own limiter counts each memory alone, so a
//! component of many memories would get many times the limit. A pool refuses some of it earlier; what is refused is the
//! same without one. Never frees: a store lives for one call.

use wasmtime::ResourceLimiter;

use crate::limits::Limits;

/// What one table element costs the host, bytes.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Bytes.
    Memory,
    /// Elements of one table.
    Table,
}

/// Counts growth, and remembers that some was refused.
pub(crate) struct Memory {
    limit: usize,
    elements: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    used: usize,
    refused: Option<Refused>,
}

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Self {
        Memory {
            limit: limits.memory_bytes,
            elements: limits.table_elements,
            instances: limits.instances,
            memories: limits.memories,
            tables: limits.tables,
            used: 0,
            refused: None,
        }
    }

    /// What the guest asked for more of than there is.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    fn grow(&mut self, bytes: usize) -> bool {
        let wanted = self.used.saturating_add(bytes);
        if wanted > self.limit {
            self.refused = Some(Refused::Memory);
            return false;
        }
        // Never given back, also if the growth then fails: a guest that could make the host believe so would get it twice.
        self.used = wanted;
        true
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|m| desired <= m) && self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.elements {
            self.refused = Some(Refused::Table);
            return Ok(false);
        }
        let bytes = desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT);
        Ok(maximum.is_none_or(|m| desired <= m) && self.grow(bytes))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiter;

    use super::{Limits, Memory, Refused};

    fn thousand() -> Memory {
        Memory::new(&Limits { memory_bytes: 1000, table_elements: 50, ..Limits::default() })
    }

    #[test]
    fn sums_over_memories_and_tables() {
        let mut memory = thousand();
        assert!(memory.memory_growing(0, 400, None).expect("never fails"));
        assert!(memory.memory_growing(0, 400, None).expect("never fails"));
        assert!(memory.table_growing(0, 25, None).expect("never fails"));
        assert_eq!(memory.refused(), None);
        assert!(!memory.memory_growing(400, 401, None).expect("never fails"));
        assert_eq!(memory.refused(), Some(Refused::Memory));
        assert!(!memory.table_growing(0, 51, None).expect("never fails"));
        assert_eq!(memory.refused(), Some(Refused::Table));
    }

    #[test]
    fn growth_that_fails_counts_and_a_declared_maximum_is_not_the_hosts() {
        let mut memory = thousand();
        assert!(memory.memory_growing(0, 900, None).expect("never fails"));
        memory.memory_grow_failed(wasmtime::Error::msg("no")).expect("never fails");
        assert!(memory.memory_growing(0, 100, None).expect("never fails"));
        assert!(!memory.memory_growing(1000, 2000, Some(1000)).expect("never fails"));
        assert_eq!(memory.refused(), None);
    }
}
