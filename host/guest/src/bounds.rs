//! What an instance may have of memories and tables.

use streamhost_core::limits;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

/// The limits of an instance, and the memory that it was given within them: of all its memories
/// together, as a component that is composed of others has one for each.
pub(crate) struct Bounds {
    limits: StoreLimits,
    memory_bytes: usize,
}

impl Bounds {
    /// Those of an instance whose memories may have so many bytes together.
    pub(crate) fn new(memory_bytes: usize) -> Self {
        Bounds {
            limits: limited(memory_bytes),
            memory_bytes: 0,
        }
    }

    /// Its memories may have so many bytes from now on.
    pub(crate) fn set(&mut self, memory_bytes: usize) {
        self.limits = limited(memory_bytes);
    }

    /// Bytes of all its memories.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

fn limited(memory_bytes: usize) -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(memory_bytes)
        .table_elements(100_000)
        .instances(64)
        .memories(limits::GUEST_MEMORIES_MAX)
        .tables(16)
        .trap_on_grow_failure(true)
        .build()
}

impl ResourceLimiter for Bounds {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return self.limits.memory_growing(current, desired, maximum);
        }
        let grown = desired.saturating_sub(current);
        let sum = self.memory_bytes.saturating_add(grown);
        let may = self.limits.memory_growing(self.memory_bytes, sum, None)?;
        if may {
            self.memory_bytes = sum;
        }
        Ok(may)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.memory_grow_failed(error) // a trap: what it holds is counted no more
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.table_grow_failed(error)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_have_one_bound_together() {
        let mut bounds = Bounds::new(100);
        assert!(bounds.memory_growing(0, 60, Some(1000)).unwrap());
        assert!(bounds.memory_growing(0, 30, None).unwrap());
        assert_eq!(bounds.memory_bytes(), 90);
        let beyond = bounds.memory_growing(30, 41, None).unwrap_err();
        assert!(beyond.to_string().contains("forcing trap"), "{beyond}");
        assert!(bounds.memory_growing(60, 70, Some(70)).unwrap());
        assert_eq!(bounds.memory_bytes(), 100);
        bounds.set(200);
        assert!(bounds.memory_growing(60, 70, Some(65)).is_err(), "its own");
        assert!(bounds.memory_growing(60, 160, Some(1000)).unwrap());
    }
}
