//! Scheduler, I/O priority and CPU affinity of one process.

use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxSchedulerFlag, LinuxSchedulerPolicy, Process, Scheduler,
};
use rustix::thread::{CpuSet, sched_setaffinity};
use stockade_sandbox::Result;

use crate::fail::{Context, invalid};
pub use crate::sys::process::SchedAttr;
use crate::sys::process::{set_io_priority, set_scheduler};

/// Sets what the process asks for.
pub(crate) fn apply(process: &Process) -> Result<()> {
    if let Some(wanted) = process.scheduler() {
        set_scheduler(attributes(wanted)?).at("error setting scheduler policy")?;
    }
    if let Some(wanted) = process.io_priority() {
        set_io_priority(io_priority(wanted)?).at("error setting I/O priority")?;
    }
    Ok(())
}

/// A value for ioprio_set(2).
pub fn io_priority(wanted: &LinuxIOPriority) -> Result<i32> {
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let level = i32::try_from(wanted.priority()).ok().filter(|level| (0..=7).contains(level));
    level.map(|level| class << 13 | level).ok_or_else(|| invalid("ioPriority.priority must be 0 to 7"))
}

/// Pins the calling process to CPUs given as in `0-3,7` (OCI runtime spec, "execCPUAffinity").
pub(crate) fn pin(list: Option<&String>) -> Result<()> {
    let Some(list) = list.filter(|list| !list.is_empty()) else { return Ok(()) };
    sched_setaffinity(None, &cpus(list)?).at_with(|| format!("error setting CPU affinity {list:?}"))
}

/// From `0-3,7`.
pub fn cpus(list: &str) -> Result<CpuSet> {
    parse_cpus(list).ok_or_else(|| invalid(format!("execCPUAffinity {list:?}: use the form 0-3,7")))
}

fn parse_cpus(list: &str) -> Option<CpuSet> {
    let mut cpus = CpuSet::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= CpuSet::MAX_CPU {
            return None;
        }
        (first..=last).for_each(|cpu| cpus.set(cpu));
    }
    Some(cpus)
}

/// What sched_setattr(2) takes.
pub fn attributes(wanted: &Scheduler) -> Result<SchedAttr> {
    let priority =
        u32::try_from(wanted.priority().unwrap_or(0)).map_err(|_| invalid("scheduler.priority is negative"))?;
    Ok(SchedAttr {
        policy: policy(*wanted.policy())?,
        flags: wanted.flags().iter().flatten().fold(0, |bits, flag| bits | flag_bits(*flag)),
        nice: wanted.nice().unwrap_or(0),
        priority,
        runtime: wanted.runtime().unwrap_or(0),
        deadline: wanted.deadline().unwrap_or(0),
        period: wanted.period().unwrap_or(0),
        ..SchedAttr::default()
    })
}

/// linux/sched.h.
fn policy(policy: LinuxSchedulerPolicy) -> Result<u32> {
    Ok(match policy {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
        LinuxSchedulerPolicy::SchedIso => return Err(invalid("scheduler policy SCHED_ISO: Linux does not have it")),
    })
}

fn flag_bits(flag: LinuxSchedulerFlag) -> u64 {
    match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        let check = |list: &str, expected: Option<&[usize]>| {
            let found = parse_cpus(list).map(|set| (0..64).filter(|cpu| set.is_set(*cpu)).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{list}");
        };
        check("0", Some(&[0]));
        check("0-2, 5", Some(&[0, 1, 2, 5]));
        for wrong in ["", "a", "3-1", "0-99999", "1,,2"] {
            check(wrong, None);
        }
    }
}
