//! From a spec's limits to what the kernel shows and enforces. The host's control group enforces them as well.

use oci_spec::runtime::{LinuxResources, Spec};
use stockade_kernel::task::Namespaces;
use stockade_kernel::{CpuQuota, Kernel};
use stockade_native::cgroup::weight;

/// CFS's own period where the spec has a quota alone (Documentation/scheduler/sched-bwc.rst).
const PERIOD_US: u64 = 100_000;

/// Tells the kernel what a container may use. What the resources do not say stays as it is.
pub(super) fn apply(kernel: &Kernel, namespaces: &Namespaces, resources: &LinuxResources) {
    if let Some(pids) = resources.pids() {
        namespaces.pids.set_limit(usize::try_from(pids.limit()).ok().filter(|limit| *limit > 0));
    }
    let limit = resources.memory().as_ref().and_then(oci_spec::runtime::LinuxMemory::limit);
    match limit {
        // Zero says nothing (OCI runtime specification, config-linux.md).
        None | Some(0) => {}
        Some(bytes) => kernel.set_memory_limit(u64::try_from(bytes).unwrap_or(u64::MAX)),
    }
    let Some(cpu) = resources.cpu() else { return };
    if let Some(quota) = cpu.quota() {
        let period_us = cpu.period().filter(|us| *us > 0).unwrap_or(PERIOD_US);
        let quota = u64::try_from(quota).ok().filter(|quota| *quota > 0);
        kernel.limits().set_cpu_quota(quota.map(|quota_us| CpuQuota { quota_us, period_us }));
    }
    if let Some(weight) = cpu.shares().filter(|shares| *shares > 0).and_then(|shares| weight(shares).parse().ok()) {
        kernel.limits().set_cpu_weight(weight);
    }
    if let Some(count) = cpu.cpus().as_deref().map(count_cpus).filter(|count| *count > 0) {
        kernel.limits().set_cpus_max(count);
    }
}

/// The first port that needs no capability, where the spec says it.
pub(super) fn unprivileged_port_start(spec: &Spec) -> Option<u32> {
    sysctl(spec, "net.ipv4.ip_unprivileged_port_start")?.trim().parse().ok()
}

/// The first and the last group that may open ping sockets, where the spec says it.
pub(super) fn ping_groups(spec: &Spec) -> Option<(u32, u32)> {
    let (first, last) = sysctl(spec, "net.ipv4.ping_group_range")?.trim().split_once(char::is_whitespace)?;
    Some((first.parse().ok()?, last.trim().parse().ok()?))
}

fn sysctl<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
    spec.linux().as_ref()?.sysctl().as_ref()?.get(name).map(String::as_str)
}

/// How many CPUs a list such as `0-2,4` names.
fn count_cpus(list: &str) -> u32 {
    let range = |part: &str| -> Option<u32> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').filter_map(range).fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_network_are_read() {
        let sysctls = r#"{"net.ipv4.ping_group_range": "0\t 2147483647", "net.ipv4.ip_unprivileged_port_start": "0"}"#;
        let spec = format!(r#"{{"ociVersion": "1.2.0", "linux": {{"sysctl": {sysctls}}}}}"#);
        let spec: Spec = serde_json::from_str(&spec).expect("a spec");
        assert_eq!((ping_groups(&spec), unprivileged_port_start(&spec)), (Some((0, 0x7fff_ffff)), Some(0)));
    }

    #[test]
    fn cpu_lists_are_counted() {
        assert_eq!(["0", "0-2,4", "1,3", "x", ""].map(count_cpus), [1, 4, 2, 0, 0]);
    }
}
