//! The system as a container's proc, sysfs and cgroup2 show it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::synthetic::{Subject, Text};
use crate::Kernel;
use crate::mm::Memory;
use crate::platform::HostClock;
use crate::task::{Counts, CpuTime, Namespaces, Process};
use crate::vfs::Timestamp;

/// A kernel, and what a container sees of it.
#[derive(Clone, Debug)]
pub struct System {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// The container.
    pub namespaces: Arc<Namespaces>,
    /// What its files say that they have (`st_size`).
    pub file_bytes: u64,
}

/// Memory as /proc/meminfo, sysfs and cgroup2 count it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Private memory of processes.
    pub anonymous: u64,
    /// Pages of image files that processes map.
    pub mapped: u64,
    /// Files in memory and shared memory.
    pub shared: u64,
    /// Bytes of private mappings, in memory or not.
    pub committed: u64,
    /// What there is in all.
    pub total: u64,
}

impl MemoryUse {
    /// What is not in use.
    pub fn free(&self) -> u64 {
        self.total.saturating_sub(self.anonymous + self.shared)
    }
}

impl System {
    /// The container's processes, zombies too.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.namespaces.pids.processes()
    }

    /// Since the sandbox began.
    pub fn uptime(&self) -> Duration {
        self.kernel.machine().now(HostClock::Boottime)
    }

    /// When the sandbox began, since 1970.
    pub fn boot_time(&self) -> Duration {
        self.kernel.machine().now(HostClock::Realtime).saturating_sub(self.uptime())
    }

    /// CPU time of everything that ran in the sandbox.
    pub fn cpu_time(&self) -> CpuTime {
        let mut total = CpuTime::default();
        for process in self.kernel.processes() {
            total += process.cpu_time();
            total += process.children_cpu_time();
        }
        total
    }

    /// Page faults of everything that ran in the sandbox: all, and those with input.
    pub fn faults(&self) -> (u64, u64) {
        let mut total = Counts::default();
        for process in self.kernel.processes() {
            total += process.counts();
            total += process.children_counts();
        }
        (total.minor_faults + total.major_faults, total.major_faults)
    }

    /// How memory is used.
    pub fn memory(&self) -> MemoryUse {
        let shared = self.kernel.machine().pool().used_bytes();
        let mut memory = MemoryUse { shared, total: self.kernel.limits().memory_shown(), ..MemoryUse::default() };
        for totals in self.kernel.memories().iter().map(|memory: &Arc<Memory>| memory.totals()) {
            memory.anonymous += totals.resident.saturating_sub(totals.shared);
            memory.mapped += totals.shared;
            memory.committed += totals.data;
        }
        memory
    }
}

impl Subject for System {
    fn time(&self) -> Timestamp {
        self.boot_time().into()
    }

    fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    fn directory_permissions(&self) -> u32 {
        0o755
    }
}

/// A set of CPUs `0..count` as a mask: groups of 32 bits from the highest, as wide as the count needs (`%*pb`).
pub fn mask_text(bits: u64, count: u32) -> Text {
    let mut text = Text::new();
    let groups = count.max(1).div_ceil(32);
    for group in (0..groups).rev() {
        let width = if group == groups - 1 { (count.max(1) - 1) % 32 / 4 + 1 } else { 8 };
        let part = bits.checked_shr(group * 32).unwrap_or(0) & 0xffff_ffff;
        let comma = if group == groups - 1 { "" } else { "," };
        write!(text, "{comma}{part:0width$x}", width = width as usize);
    }
    text
}

/// The same as a list of ranges (`%*pbl`).
pub fn list_text(bits: u64) -> Text {
    let mut text = Text::new();
    let mut at = 0;
    while let Some(rest) = bits.checked_shr(at).filter(|rest| *rest != 0) {
        let start = at + rest.trailing_zeros();
        let len = (bits >> start).trailing_ones();
        let comma = if text.is_empty() { "" } else { "," };
        match len {
            1 => write!(text, "{comma}{start}"),
            _ => write!(text, "{comma}{start}-{}", start + len - 1),
        }
        at = start + len;
    }
    text
}

/// A bit for each of `count` CPUs; at most 64 are shown.
pub fn all_cpus(count: u32) -> u64 {
    1_u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: u64, count: u32, mask: &str, list: &str) {
        assert_eq!(mask_text(bits, count).finish().as_deref(), Ok(mask.as_bytes()));
        assert_eq!(list_text(bits).finish().as_deref(), Ok(list.as_bytes()));
    }

    #[test]
    fn sets_of_cpus_print_as_linux_does() {
        check(1, 1, "1", "0");
        check(3, 2, "3", "0-1");
        check(0b1011, 4, "b", "0-1,3");
        check(u64::MAX, 64, "ffffffff,ffffffff", "0-63");
        check(1 << 33 | 1, 34, "2,00000001", "0,33");
        check(0, 8, "00", "");
        assert_eq!(all_cpus(3), 7);
        assert_eq!(all_cpus(64), u64::MAX);
    }
}
