//! What was used, and how much may be: getrusage(2), times(2), getrlimit(2), setrlimit(2), prlimit(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::Call;
use crate::Errno;
use crate::abi::{Encoder, Timeval};
use crate::platform::HostClock;
use crate::task::{Capabilities, Counts, CpuTime, Limit, Pid, Resource, Task, ticks};
use crate::wait::Stop;

/// `struct rusage`
pub(super) fn rusage(time: CpuTime, counts: &Counts) -> Vec<u8> {
    let mut to = Encoder::new();
    to.put(timeval(time.user)).put(timeval(time.system)).put(counts.resident_peak / 1024).zeros(3 * 8);
    to.put(counts.minor_faults).put(counts.major_faults).zeros(6 * 8);
    to.put(counts.voluntary_switches).put(counts.involuntary_switches);
    to.finish()
}

fn timeval(time: Duration) -> Timeval {
    Timeval { seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), microseconds: time.subsec_micros().into() }
}

/// getrusage(2)
pub fn getrusage(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let process = task.process();
    let with_peak = |counts: Counts| Counts { resident_peak: process.resident_peak(), ..counts };
    let bytes = match call.int(0) {
        0 => rusage(process.cpu_time(), &with_peak(process.counts())),
        -1 => rusage(process.children_cpu_time(), &process.children_counts()),
        1 => rusage(task.cpu_time(), &with_peak(task.counts())),
        _ => return Err(Errno::EINVAL.into()),
    };
    Ok(task.memory().write_bytes(call.arg(1), &bytes)?)
}

/// times(2)
pub fn times(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (own, children) = (task.process().cpu_time(), task.process().children_cpu_time());
    let values = [own.user, own.system, children.user, children.system].map(ticks);
    task.memory().write_optional(call.arg(0), &values)?;
    let now = ticks(task.kernel().machine().now(HostClock::Monotonic));
    Ok(now.cast_unsigned())
}

/// getrlimit(2)
pub fn getrlimit(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let resource = Resource::new(call.uint(0))?;
    Ok(task.memory().write_struct(call.arg(1), &task.process().limit(resource))?)
}

/// setrlimit(2)
pub fn setrlimit(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let new = task.memory().read_struct(call.arg(1))?;
    let resource = Resource::new(call.uint(0))?;
    Ok(change(task, task, resource, new)?)
}

/// prlimit64(2)
pub fn prlimit64(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let resource = Resource::new(call.uint(1))?;
    let memory = task.memory();
    let new: Option<Limit> = memory.read_optional(call.arg(2))?;
    let other = match call.int(0) {
        0 => task.clone(),
        pid => task.process().pids().task(Pid::new(pid).ok_or(Errno::ESRCH)?).ok_or(Errno::ESRCH)?,
    };
    check_other(task, &other)?;
    let old = other.process().limit(resource);
    if let Some(new) = new {
        change(task, &other, resource, new)?;
    }
    Ok(memory.write_optional(call.arg(3), &old)?)
}

/// Real and effective ids must match (`check_prlimit_permission` of Linux).
fn check_other(task: &Arc<Task>, other: &Arc<Task>) -> Result<(), Errno> {
    if Arc::ptr_eq(task, other) {
        return Ok(());
    }
    let (mine, theirs) = (task.credentials(), other.credentials());
    let same = [theirs.euid, theirs.suid, theirs.uid].iter().all(|uid| *uid == mine.uid)
        && [theirs.egid, theirs.sgid, theirs.gid].iter().all(|gid| *gid == mine.gid);
    if same || mine.has(Capabilities::SYS_RESOURCE) { Ok(()) } else { Err(Errno::EPERM) }
}

/// The highest RLIMIT_NOFILE: `/proc/sys/fs/nr_open`.
const FILES_MAX: u64 = 1 << 20;

fn change(task: &Task, other: &Task, resource: Resource, new: Limit) -> Result<(), Errno> {
    if new.soft > new.hard {
        return Err(Errno::EINVAL);
    }
    if resource == Resource::Files && new.hard > FILES_MAX {
        return Err(Errno::EPERM);
    }
    let old = other.process().limit(resource);
    if new.hard > old.hard && !task.credentials().has(Capabilities::SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    other.process().set_limit(resource, new);
    match resource {
        Resource::Cpu => other.process().watch_cpu_limit(),
        Resource::Stack if core::ptr::eq(task, other) && new.soft < old.soft => shorten_stack(task, new.soft),
        _ => {}
    }
    Ok(())
}

/// Other tasks could touch what is looked at: with them, the stack keeps what it has.
fn shorten_stack(task: &Task, limit: u64) {
    let process = task.process();
    if process.task_count() > 1 || process.shares_memory.load(Ordering::Relaxed) {
        return;
    }
    let calls = task.memory().shorten_stack(task.tid(), limit);
    if !calls.is_empty() {
        task.defer(calls);
    }
}
