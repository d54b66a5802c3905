//! Resource use of one container. Fields and units are those of `runc events --stats`; times in nanoseconds, sizes in
//! bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One sample of everything a class can tell. Absent controllers leave their part at zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes.
    pub pids: PidsStats,
    /// Block I/O.
    pub blkio: BlkioStats,
    /// Huge pages by page size, for example `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CpuStats {
    /// All time used.
    pub total_ns: u64,
    /// Time in user mode.
    pub user_ns: u64,
    /// Time in kernel mode.
    pub system_ns: u64,
    /// What of `total_ns` the class needed for itself: its kernel's monitor (class `native`: nothing).
    #[serde(default)]
    pub overhead_ns: u64,
    /// Time per CPU (cgroup v1 only).
    pub per_cpu_ns: Vec<u64>,
    /// Enforcement periods that passed.
    pub periods: u64,
    /// Periods in which the container was throttled.
    pub throttled_periods: u64,
    /// Time throttled.
    pub throttled_ns: u64,
    /// Pressure stall information (cgroup v2).
    pub pressure: Option<Pressure>,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MemoryStats {
    /// Memory used, page cache included.
    pub usage: u64,
    /// What the class needs for itself beside `usage`: its kernel's monitor (class `native`: nothing).
    #[serde(default)]
    pub overhead: u64,
    /// The highest `usage` seen.
    pub max_usage: u64,
    /// The limit; `u64::MAX` when there is none.
    pub limit: u64,
    /// Times the limit was hit.
    pub failcnt: u64,
    /// Page cache.
    pub cache: u64,
    /// Swap used, memory not included.
    pub swap_usage: u64,
    /// Limit of swap.
    pub swap_limit: u64,
    /// Kernel memory used.
    pub kernel_usage: u64,
    /// Processes killed for lack of memory.
    pub oom_kills: u64,
    /// All of memory.stat.
    pub raw: BTreeMap<String, u64>,
    /// Pressure stall information (cgroup v2).
    pub pressure: Option<Pressure>,
}

/// Process counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PidsStats {
    /// Processes and threads now.
    pub current: u64,
    /// The limit, 0 when there is none.
    pub limit: u64,
}

/// Block I/O counters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BlkioStats {
    /// Bytes moved, by device and operation.
    pub service_bytes: Vec<BlkioEntry>,
    /// Operations, by device and operation.
    pub serviced: Vec<BlkioEntry>,
    /// Pressure stall information (cgroup v2).
    pub pressure: Option<Pressure>,
}

/// One block I/O counter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BlkioEntry {
    /// Device major number.
    pub major: u64,
    /// Device minor number.
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard` or `Total`.
    pub op: String,
    /// The count.
    pub value: u64,
}

/// Huge page use in bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HugetlbStats {
    /// Used now.
    pub usage: u64,
    /// Highest use.
    pub max: u64,
    /// Times the limit was hit.
    pub failcnt: u64,
}

/// Pressure stall information: how much time tasks waited for the resource.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// Some tasks waited.
    pub some: PressureLine,
    /// All tasks waited.
    pub full: PressureLine,
}

/// One line of a pressure file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PressureLine {
    /// Per cent over 10 s.
    pub avg10: f64,
    /// Per cent over 60 s.
    pub avg60: f64,
    /// Per cent over 300 s.
    pub avg300: f64,
    /// Microseconds in total.
    pub total: u64,
}
