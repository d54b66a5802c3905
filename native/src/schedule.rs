//! Scheduler, I/O priority and CPU affinity of one process.

use oci_spec::runtime::{IOPriorityClass, LinuxSchedulerFlag, LinuxSchedulerPolicy, Process, Scheduler};
use stockade_sandbox::Result;

use crate::fail::{Context, invalid};
use crate::sys::process::{SchedAttr, set_io_priority, set_scheduler};

/// Sets what the process asks for.
pub(crate) fn apply(process: &Process) -> Result<()> {
    if let Some(wanted) = process.scheduler() {
        set_scheduler(attributes(wanted)?).at("error setting scheduler policy")?;
    }
    if let Some(wanted) = process.io_priority() {
        let class = match wanted.class() {
            IOPriorityClass::IoprioClassRt => 1,
            IOPriorityClass::IoprioClassBe => 2,
            IOPriorityClass::IoprioClassIdle => 3,
        };
        let level = i32::try_from(wanted.priority()).ok().filter(|level| (0..=7).contains(level));
        let level = level.ok_or_else(|| invalid("ioPriority.priority must be 0 to 7"))?;
        set_io_priority(class << 13 | level).at("error setting I/O priority")?;
    }
    Ok(())
}

fn attributes(wanted: &Scheduler) -> Result<SchedAttr> {
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
