//! What of the physical address space the guest may use, as firmware would tell it.

use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

use crate::memory::{Memory, layout};

/// What a range is; the values are those of E820.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum RangeKind {
    /// Ordinary memory.
    Usable = 1,
    /// Not to be touched.
    Reserved = 2,
}

impl RangeKind {
    /// E820's number for it.
    pub fn number(self) -> u32 {
        match self {
            RangeKind::Usable => 1,
            RangeKind::Reserved => 2,
        }
    }
}

/// One range of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRange {
    /// First byte.
    pub address: u64,
    /// Length in bytes.
    pub len: u64,
    /// What it is.
    pub kind: RangeKind,
}

/// The whole map: memory below the ACPI tables, the tables, and memory from 1 MiB on around the hole for devices.
pub fn memory_map(memory: &Memory) -> Vec<MemoryRange> {
    let range = |address: u64, end: u64, kind| MemoryRange { address, len: end - address, kind };
    let mut map = vec![
        range(0, layout::LOW_END, RangeKind::Usable),
        range(layout::RSDP, layout::HIGH_START, RangeKind::Reserved),
    ];
    for region in memory.iter() {
        let start = region.start_addr().raw_value().max(layout::HIGH_START);
        let end = region.start_addr().raw_value() + region.len();
        if end > start {
            map.push(range(start, end, RangeKind::Usable));
        }
    }
    map
}

/// End of memory below the hole.
pub fn low_memory_end(memory: &Memory) -> u64 {
    memory.iter().next().map_or(0, GuestMemoryRegion::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory;

    #[test]
    fn the_map_leaves_out_tables_and_devices() {
        let memory = memory::anonymous(4096, DirtyLog::Off).expect("memory");
        let ranges: Vec<_> =
            memory_map(&memory).iter().map(|r| (r.address, r.address + r.len, r.kind.number())).collect();
        let expected = [
            (0, 0xa_0000, 1),
            (0xe_0000, 0x10_0000, 2),
            (0x10_0000, 0xc000_0000, 1),
            (0x1_0000_0000, 0x1_4000_0000, 1),
        ];
        assert_eq!(ranges, expected);
    }
}
