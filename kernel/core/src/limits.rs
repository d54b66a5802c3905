//! What the sandbox may use. The host enforces it; /proc, /sys, sysinfo(2) and sched_getaffinity(2) show it, since
//! programs size themselves by them.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use stockade_kernel_sync::Mutex;

use crate::platform::MachineInfo;

/// Part of each period that all CPUs together may be used: `cpu.max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuQuota {
    /// Microseconds of CPU time.
    pub quota_us: u64,
    /// Of so many; never 0.
    pub period_us: u64,
}

/// Relative shares and sizes; all can be changed while the sandbox runs.
#[derive(Debug)]
pub struct SandboxLimits {
    memory_bytes: AtomicU64,
    cpu_weight: AtomicU32,
    cpus_max: AtomicU32,
    cpu_quota: Mutex<Option<CpuQuota>>,
    tasks_max: AtomicUsize,
    machine_bytes: u64,
    machine_cpus: u32,
}

/// `cpu.weight` of Linux when nobody set one.
const WEIGHT_DEFAULT: u32 = 100;

impl SandboxLimits {
    /// All of the machine.
    pub(crate) fn new(machine: &MachineInfo) -> Self {
        Self {
            memory_bytes: AtomicU64::new(u64::MAX),
            cpu_weight: AtomicU32::new(WEIGHT_DEFAULT),
            cpus_max: AtomicU32::new(u32::MAX),
            cpu_quota: Mutex::new(None),
            tasks_max: AtomicUsize::new(usize::MAX),
            machine_bytes: machine.memory_bytes,
            machine_cpus: machine.cpus.max(1),
        }
    }

    /// How many tasks the machine has room for, whatever the limits of containers say.
    pub fn tasks_max(&self) -> usize {
        self.tasks_max.load(Ordering::Relaxed)
    }

    /// Says that.
    pub fn set_tasks_max(&self, tasks: usize) {
        self.tasks_max.store(tasks, Ordering::Relaxed);
    }

    /// Bytes of memory; `u64::MAX` when there is no limit.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub fn set_memory_bytes(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of memory that there are at all, within the limit.
    pub fn memory_shown(&self) -> u64 {
        self.memory_bytes().min(self.machine_bytes)
    }

    /// The quota of CPU time; `None` when there is no limit.
    pub fn cpu_quota(&self) -> Option<CpuQuota> {
        *self.cpu_quota.lock()
    }

    /// Changes that.
    pub fn set_cpu_quota(&self, quota: Option<CpuQuota>) {
        *self.cpu_quota.lock() = quota;
    }

    /// The share of CPU time beside others: 1..=10000.
    pub fn cpu_weight(&self) -> u32 {
        self.cpu_weight.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub fn set_cpu_weight(&self, weight: u32) {
        self.cpu_weight.store(weight, Ordering::Relaxed);
    }

    /// Lets the sandbox run on at most so many CPUs (a CPU set).
    pub fn set_cpus_max(&self, cpus: u32) {
        self.cpus_max.store(cpus, Ordering::Relaxed);
    }

    /// How many CPUs there are: those of the machine, as far as set and quota allow, rounded up.
    pub fn cpus(&self) -> u32 {
        let by_quota = self.cpu_quota().map_or(u64::MAX, |quota| quota.quota_us.div_ceil(quota.period_us.max(1)));
        let by_quota = u32::try_from(by_quota).unwrap_or(u32::MAX);
        self.machine_cpus.min(self.cpus_max.load(Ordering::Relaxed)).min(by_quota).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn cpus_follow_the_smallest_limit() {
        let world = World::new();
        let limits = world.kernel.limits();
        assert_eq!(limits.cpus(), 4);
        limits.set_cpu_quota(Some(CpuQuota { quota_us: 150_000, period_us: 100_000 }));
        assert_eq!(limits.cpus(), 2);
        limits.set_cpus_max(1);
        assert_eq!(limits.cpus(), 1);
        limits.set_cpu_quota(Some(CpuQuota { quota_us: 1, period_us: 100_000 }));
        assert_eq!(limits.cpus(), 1);
    }

    #[test]
    fn memory_is_the_machines_within_the_limit() {
        let world = World::new();
        assert_eq!(world.kernel.memory_bytes().0, 1 << 30);
        world.kernel.set_memory_limit(64 << 20);
        assert_eq!(world.kernel.memory_bytes(), (64 << 20, 64 << 20));
    }
}
