//! How much memory there is for a host.

use streamhost_core::job::memory::HostMemory;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// As configured, or what the system has for this process: its control group's, or the machine's.
pub fn of(configured: Option<usize>) -> HostMemory {
    if let Some(bytes) = configured {
        return HostMemory {
            bytes: bytes as u64,
            is_bound: true,
        };
    }
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let machine = system.total_memory();
    let group = system.cgroup_limits().map(|limits| limits.total_memory);
    let bytes = match machine {
        0 => u64::MAX / 2, // the system does not tell: nothing is refused by it
        machine => group
            .filter(|bytes| *bytes > 0)
            .map_or(machine, |bytes| bytes.min(machine)),
    };
    HostMemory {
        bytes,
        is_bound: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_counts_and_else_the_system() {
        let configured = of(Some(3 << 30));
        assert_eq!((configured.bytes, configured.is_bound), (3 << 30, true));
        let found = of(None);
        assert!(found.bytes > 64 << 20 && !found.is_bound);
    }
}
