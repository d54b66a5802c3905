//! Limits as the OCI spec writes them.

use oci_spec::runtime::{
    LinuxBlockIoBuilder, LinuxCpu, LinuxCpuBuilder, LinuxMemory, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources,
    LinuxResourcesBuilder,
};

use super::{SpecError, devices};
use crate::options::Resources;
use crate::state::Record;

/// The period that `--cpus` is counted in.
const CPU_PERIOD_US: u64 = 100_000;

/// Everything of a new container: limits and device rules.
pub(super) fn resources(record: &Record) -> Result<LinuxResources, SpecError> {
    let mut resources = limits(&record.options.resources)?;
    resources.set_devices(Some(devices::rules(record)?));
    Ok(resources)
}

/// What `update` passes on: only what `change` names, seen in the light of `all` where fields depend on each other.
pub(crate) fn limits_change(change: &Resources, all: &Resources) -> LinuxResources {
    let mut visible = change.clone();
    if change.memory_bytes.is_some() || change.memory_swap_bytes.is_some() {
        visible.memory_bytes = all.memory_bytes;
        visible.memory_swap_bytes = all.memory_swap_bytes;
    }
    limits(&visible).unwrap_or_default()
}

/// Limits only.
fn limits(limits: &Resources) -> Result<LinuxResources, SpecError> {
    let mut resources = LinuxResourcesBuilder::default().build()?;
    resources.set_devices(None);
    resources.set_memory(memory(limits)?);
    resources.set_cpu(cpu(limits)?);
    if let Some(limit) = limits.pids_limit {
        let limit = if limit == 0 { -1 } else { limit };
        resources.set_pids(Some(LinuxPidsBuilder::default().limit(limit).build()?));
    }
    if let Some(weight) = limits.blkio_weight.filter(|weight| *weight > 0) {
        resources.set_block_io(Some(LinuxBlockIoBuilder::default().weight(weight).build()?));
    }
    Ok(resources)
}

/// Memory; swap is as much again unless said otherwise, as Docker has it.
fn memory(limits: &Resources) -> Result<Option<LinuxMemory>, SpecError> {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut memory = LinuxMemoryBuilder::default().build()?;
    let limit = limits.memory_bytes.filter(|limit| *limit > 0);
    let swap = limits.memory_swap_bytes.filter(|swap| *swap != 0);
    memory.set_limit(limit.map(bytes));
    memory.set_swap(swap.or_else(|| limit.map(|limit| bytes(limit.saturating_mul(2)))));
    memory.set_reservation(limits.memory_reservation_bytes.map(bytes));
    memory.set_swappiness(limits.memory_swappiness);
    memory.set_disable_oom_killer(limits.oom_kill_disable);
    let empty = LinuxMemoryBuilder::default().build()?;
    Ok(Some(memory).filter(|memory| *memory != empty))
}

/// Processor time; `--cpus` is a quota.
fn cpu(limits: &Resources) -> Result<Option<LinuxCpu>, SpecError> {
    let mut cpu = LinuxCpuBuilder::default().build()?;
    cpu.set_shares(limits.cpu_shares.filter(|shares| *shares > 0));
    cpu.set_period(limits.cpu_period_us.filter(|period| *period > 0));
    cpu.set_quota(limits.cpu_quota_us.filter(|quota| *quota != 0));
    cpu.set_cpus(limits.cpuset_cpus.clone().filter(|list| !list.is_empty()));
    cpu.set_mems(limits.cpuset_mems.clone().filter(|list| !list.is_empty()));
    if let Some(nano_cpus) = limits.nano_cpus.filter(|cpus| *cpus > 0) {
        cpu.set_period(Some(CPU_PERIOD_US));
        cpu.set_quota(i64::try_from(u128::from(nano_cpus) * u128::from(CPU_PERIOD_US) / 1_000_000_000).ok());
    }
    let empty = LinuxCpuBuilder::default().build()?;
    Ok(Some(cpu).filter(|cpu| *cpu != empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_brings_swap() {
        let check =
            |memory_bytes: Option<u64>, memory_swap_bytes: Option<i64>, expected: (Option<i64>, Option<i64>)| {
                let limits = Resources { memory_bytes, memory_swap_bytes, ..Default::default() };
                let found = memory(&limits).unwrap().map_or((None, None), |memory| (memory.limit(), memory.swap()));
                assert_eq!(found, expected);
            };
        check(None, None, (None, None));
        check(Some(100), None, (Some(100), Some(200)));
        check(Some(100), Some(-1), (Some(100), Some(-1)));
        check(Some(100), Some(150), (Some(100), Some(150)));
    }

    #[test]
    fn cpus_are_a_quota() {
        let limits = Resources { nano_cpus: Some(1_500_000_000), ..Default::default() };
        let cpu = cpu(&limits).unwrap().unwrap();
        assert_eq!((cpu.quota(), cpu.period()), (Some(150_000), Some(100_000)));
    }

    #[test]
    fn nothing_asked_is_nothing_set() {
        let none = limits(&Resources::default()).unwrap();
        assert!(none.memory().is_none() && none.cpu().is_none() && none.pids().is_none() && none.block_io().is_none());
    }

    #[test]
    fn a_change_of_memory_keeps_the_swap_asked_for() {
        let all = Resources { memory_bytes: Some(100), memory_swap_bytes: Some(-1), ..Default::default() };
        let change = Resources { memory_bytes: Some(100), ..Default::default() };
        assert_eq!(limits_change(&change, &all).memory().as_ref().unwrap().swap(), Some(-1));
    }
}
