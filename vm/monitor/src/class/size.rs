//! How large a machine is, and what its limits mean to the host's control group.
//!
//! Memory: a limit is the container's, which the guest enforces, so the machine has more by what its kernel and agent
//! need. Without a limit it is 2 GiB, or half of the host's memory where that is less; pages that were never touched
//! cost nothing. The host's control group has room for the VMM itself.
//!
//! Processors: as many as `--cpus` asks for, rounded up; one without it.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, Spec};
use rustix::system::sysinfo;

const MIB: u64 = 1 << 20;
/// Kernel, its tables, the unpacked archive, the agent. A Debian kernel keeps some 70 MiB for itself.
const GUEST_BYTES: u64 = 96 * MIB;
/// Of each page, the kernel keeps a description of 64 bytes, and more with page tables.
const GUEST_PART: u64 = 32;
const LEAST_BYTES: u64 = 128 * MIB;
const UNLIMITED_BYTES: u64 = 2 << 30;
/// The VMM's own memory, and page tables of the guest's.
const MONITOR_BYTES: u64 = 32 * MIB;
const MONITOR_PART: u64 = 64;
/// A file server's own: what it knows of each file that the guest does, and page tables of the guest's memory.
const SERVER_BYTES: u64 = 32 * MIB;
/// CFS's own period (Documentation/scheduler/sched-bwc.rst).
const PERIOD_US: u64 = 100_000;
const VCPUS_MAX: u64 = 32;
/// Beside processors: the monitor's other threads, the kernel's workers for disks, and a proxy for each process that
/// was executed in the container.
const TASKS: i64 = 256;
/// A file server has up to 64 threads for its queue, and some more.
const SERVER_TASKS: i64 = 80;

/// A machine's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub memory_mib: u64,
    pub vcpus: u8,
    /// Whether memory is limited at all.
    is_limited: bool,
}

impl Size {
    /// What a spec asks for.
    pub(super) fn of(spec: &Spec) -> Self {
        let resources = spec.linux().as_ref().and_then(|linux| linux.resources().clone()).unwrap_or_default();
        let host = sysinfo();
        Self::new(&resources, host.totalram.saturating_mul(host.mem_unit.into()))
    }

    fn new(resources: &LinuxResources, host_bytes: u64) -> Self {
        let limit = resources.memory().as_ref().and_then(LinuxMemory::limit).and_then(positive);
        let bytes = match limit {
            Some(limit) => limit.saturating_add(GUEST_BYTES).saturating_add(limit / GUEST_PART),
            None => UNLIMITED_BYTES.min(host_bytes / 2),
        };
        let memory_mib = bytes.max(LEAST_BYTES).div_ceil(MIB);
        Self { memory_mib, vcpus: vcpus(resources), is_limited: limit.is_some() }
    }

    /// The spec for the host: its control group holds the machine, and as many file servers.
    pub(super) fn spec_on_host(self, spec: &Spec, servers: u64) -> Spec {
        let mut host = spec.clone();
        if let Some(linux) = host.linux_mut() {
            let mut resources = update_on_host(&linux.resources().clone().unwrap_or_else(nothing));
            resources.set_memory(self.is_limited.then(|| self.memory_on_host(servers)));
            resources.set_pids(Some(self.tasks_on_host(servers)));
            linux.set_resources(Some(resources));
        }
        host
    }

    /// Whoever takes the monitor over cannot fill the host with processes.
    fn tasks_on_host(self, servers: u64) -> LinuxPids {
        let servers = i64::try_from(servers).unwrap_or(i64::MAX);
        let mut pids = LinuxPids::default();
        pids.set_limit(servers.saturating_mul(SERVER_TASKS).saturating_add(TASKS + i64::from(self.vcpus)));
        pids
    }

    fn memory_on_host(self, servers: u64) -> LinuxMemory {
        let bytes = self.memory_mib.saturating_mul(MIB);
        let others = MONITOR_BYTES.saturating_add(servers.saturating_mul(SERVER_BYTES));
        let all = bytes.saturating_add(others).saturating_add(bytes / MONITOR_PART);
        let mut memory = LinuxMemory::default();
        memory.set_limit(i64::try_from(all).ok());
        memory
    }
}

/// No limits, and no rules of devices either: an empty list would be one.
pub(super) fn nothing() -> LinuxResources {
    let mut resources = LinuxResources::default();
    resources.set_devices(None);
    resources
}

/// What of changed limits is the host's: a machine keeps its memory, and processes are the guest's.
pub(super) fn update_on_host(resources: &LinuxResources) -> LinuxResources {
    let mut host = resources.clone();
    host.set_memory(None).set_pids(None::<LinuxPids>).set_hugepage_limits(None);
    host
}

fn vcpus(resources: &LinuxResources) -> u8 {
    u8::try_from(processors(resources).unwrap_or(1).clamp(1, VCPUS_MAX)).unwrap_or(1)
}

/// How many processors limits leave room for; none where they say nothing of it.
pub(crate) fn processors(resources: &LinuxResources) -> Option<u64> {
    let cpu = resources.cpu().as_ref()?;
    let period = cpu.period().filter(|us| *us > 0).unwrap_or(PERIOD_US);
    match cpu.quota().and_then(positive) {
        Some(quota) => Some(quota.div_ceil(period)),
        None => listed(cpu),
    }
}

/// How many processors a set such as `0-2,4` names.
fn listed(cpu: &LinuxCpu) -> Option<u64> {
    let range = |part: &str| -> Option<u64> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    let count = cpu.cpus().as_deref()?.split(',').filter_map(range).fold(0, u64::saturating_add);
    (count > 0).then_some(count)
}

fn positive(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: u64 = 24 << 30;

    fn check(text: &str, memory_mib: u64, vcpus: u8) {
        let resources: LinuxResources = serde_json::from_str(text).expect("resources");
        let size = Size::new(&resources, HOST);
        assert_eq!((size.memory_mib, size.vcpus), (memory_mib, vcpus), "{text}");
    }

    #[test]
    fn a_machine_has_room_for_its_kernel() {
        check("{}", 2048, 1);
        check(r#"{"memory": {"limit": -1}}"#, 2048, 1);
        check(r#"{"memory": {"limit": 67108864}}"#, 162, 1);
        check(r#"{"memory": {"limit": 1048576}}"#, 128, 1);
        assert_eq!(Size::new(&LinuxResources::default(), 1 << 30).memory_mib, 512);
    }

    #[test]
    fn processors_are_rounded_up() {
        check(r#"{"cpu": {"quota": 50000, "period": 100000}}"#, 2048, 1);
        check(r#"{"cpu": {"quota": 150000}}"#, 2048, 2);
        check(r#"{"cpu": {"cpus": "0-2,4"}}"#, 2048, 4);
        check(r#"{"cpu": {"quota": 9900000}}"#, 2048, 32);
    }

    #[test]
    fn limits_that_say_nothing_of_processors_ask_for_none() {
        let check = |text: &str, expected: Option<u64>| {
            let resources: LinuxResources = serde_json::from_str(text).expect("resources");
            assert_eq!(processors(&resources), expected, "{text}");
        };
        check(r#"{"memory": {"limit": 1}}"#, None);
        check(r#"{"cpu": {"shares": 512, "quota": -1}}"#, None);
        check(r#"{"cpu": {"quota": 9900000}}"#, Some(99));
    }

    #[test]
    fn the_host_leaves_processes_to_the_guest() {
        let spec = r#"{"ociVersion": "1.2.0", "linux": {"resources": {"pids": {"limit": 5},
            "memory": {"limit": 67108864, "swap": 67108864}, "cpu": {"quota": 50000}}}}"#;
        let spec: Spec = serde_json::from_str(spec).expect("a spec");
        let host = Size::of(&spec).spec_on_host(&spec, 2);
        let resources = host.linux().as_ref().and_then(|linux| linux.resources().clone()).expect("resources");
        let memory = resources.memory().expect("limited");
        assert_eq!((memory.limit(), memory.swap()), (Some((162 + 32 + 64) * (1 << 20) + (162 << 20) / 64), None));
        assert_eq!(resources.pids().map(|pids| pids.limit()), Some(2 * SERVER_TASKS + TASKS + 1), "its own");
        assert!(resources.cpu().is_some());
        assert!(update_on_host(&resources).pids().is_none());
    }
}
