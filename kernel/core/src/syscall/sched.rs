//! Scheduling: sched_yield(2), sched_setaffinity(2), sched_setscheduler(2), setpriority(2), ioprio_set(2), getcpu(2)
//! and their like. The host schedules: what is asked for is checked, kept and given back.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use crate::Errno;
use crate::abi::{Abi, Encoder, Timespec};
use crate::task::{Capabilities, Limit, Pid, Resource, Scheduling, Task};
use crate::wait::Stop;

/// SCHED_RESET_ON_FORK
const RESET_ON_FORK: u32 = 0x4000_0000;
const OTHER: u32 = 0;
const BATCH: u32 = 3;
const IDLE: u32 = 5;
const DEADLINE: u32 = 6;

/// The task that an argument names: 0 is the caller.
fn target(task: &Arc<Task>, pid: i32) -> Result<Arc<Task>, Errno> {
    match pid {
        0 => Ok(task.clone()),
        pid if pid < 0 => Err(Errno::EINVAL),
        pid => task.process().pids().task(Pid::new(pid).ok_or(Errno::ESRCH)?).ok_or(Errno::ESRCH),
    }
}

/// The same for affinities: a negative id is nobody's.
fn with_affinity(task: &Arc<Task>, pid: i32) -> Result<Arc<Task>, Errno> {
    if pid < 0 { Err(Errno::ESRCH) } else { target(task, pid) }
}

/// `check_same_owner` of Linux.
fn may_change(task: &Task, other: &Task) -> bool {
    let (mine, theirs) = (task.credentials(), other.credentials());
    mine.euid == theirs.euid || mine.euid == theirs.uid
}

/// sched_yield(2)
pub fn sched_yield(_: &Arc<Task>, _: &mut Call) -> Result<(), Stop> {
    Ok(())
}

/// sched_setscheduler(2)
pub fn sched_setscheduler(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.int(0) < 0 || call.int(1) < 0 || call.arg(2) == 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority: i32 = task.memory().read_struct(call.arg(2))?;
    let other = target(task, call.int(0))?;
    let policy = call.uint(1);
    let wish =
        Wish { policy: Some(policy & !RESET_ON_FORK), priority, reset: Some(policy & RESET_ON_FORK != 0), nice: None };
    Ok(wish.apply(task, &other)?)
}

/// sched_setparam(2)
pub fn sched_setparam(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.int(0) < 0 || call.arg(1) == 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority: i32 = task.memory().read_struct(call.arg(1))?;
    let other = target(task, call.int(0))?;
    Ok(Wish { policy: None, priority, reset: None, nice: None }.apply(task, &other)?)
}

/// A change of scheduling that somebody asks for; `None` leaves a thing as it is.
struct Wish {
    policy: Option<u32>,
    priority: i32,
    reset: Option<bool>,
    nice: Option<i32>,
}

impl Wish {
    fn apply(&self, task: &Task, other: &Task) -> Result<(), Errno> {
        let old = other.settings.lock().scheduling;
        let policy = self.policy.unwrap_or(old.policy);
        let realtime = match policy {
            Scheduling::FIFO | Scheduling::ROUND_ROBIN => true,
            OTHER | BATCH | IDLE => false,
            _ => return Err(Errno::EINVAL),
        };
        let priority = u32::try_from(self.priority).ok().filter(|priority| *priority <= 99).ok_or(Errno::EINVAL)?;
        if realtime != (priority > 0) {
            return Err(Errno::EINVAL);
        }
        let nice = self.nice.filter(|_| !realtime).unwrap_or(old.nice);
        let new = Scheduling { policy, priority, nice, reset_on_fork: self.reset.unwrap_or(old.reset_on_fork), ..old };
        check_change(task, other, &old, &new)?;
        other.settings.lock().scheduling = new;
        Ok(())
    }
}

/// Who may ask for what (sched(7), "Privileges and resource limits").
fn check_change(task: &Task, other: &Task, old: &Scheduling, new: &Scheduling) -> Result<(), Errno> {
    if task.credentials().has(Capabilities::SYS_NICE) {
        return Ok(());
    }
    let limit = u64::from(new.priority) <= other.process().limit(Resource::RealTimePriority).soft;
    let as_before = new.policy == old.policy && new.priority <= old.priority;
    let realtime_ok = !new.is_realtime() || limit || as_before;
    let nice_ok = new.nice >= old.nice || can_nice(other.process().limit(Resource::Nice), new.nice);
    let leaves_idle = old.policy == IDLE && new.policy != IDLE;
    let idle_ok = !leaves_idle || can_nice(other.process().limit(Resource::Nice), old.nice);
    let reset_ok = !old.reset_on_fork || new.reset_on_fork;
    if realtime_ok && nice_ok && idle_ok && reset_ok && may_change(task, other) { Ok(()) } else { Err(Errno::EPERM) }
}

/// RLIMIT_NICE: 20 - nice.
fn can_nice(limit: Limit, nice: i32) -> bool {
    u64::try_from(20 - nice).is_ok_and(|wanted| wanted <= limit.soft)
}

/// sched_getscheduler(2)
pub fn sched_getscheduler(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let scheduling = target(task, call.int(0))?.settings.lock().scheduling;
    let reset = if scheduling.reset_on_fork { RESET_ON_FORK } else { 0 };
    Ok((scheduling.policy | reset).into())
}

/// sched_getparam(2)
pub fn sched_getparam(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.arg(1) == 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority = target(task, call.int(0))?.settings.lock().scheduling.priority;
    Ok(task.memory().write_struct(call.arg(1), &priority)?)
}

/// sched_get_priority_max(2)
pub fn sched_get_priority_max(_: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    priority_bound(call.uint(0), 99)
}

/// sched_get_priority_min(2)
pub fn sched_get_priority_min(_: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    priority_bound(call.uint(0), 1)
}

fn priority_bound(policy: u32, realtime: u64) -> Result<u64, Stop> {
    match policy {
        Scheduling::FIFO | Scheduling::ROUND_ROBIN => Ok(realtime),
        OTHER | BATCH | IDLE | DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// sched_rr_get_interval(2)
pub fn sched_rr_get_interval(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let policy = target(task, call.int(0))?.settings.lock().scheduling.policy;
    let nanoseconds = match policy {
        Scheduling::FIFO => 0,
        Scheduling::ROUND_ROBIN => 100_000_000,
        _ => 3_000_000,
    };
    Ok(task.memory().write_struct(call.arg(1), &Timespec { seconds: 0, nanoseconds })?)
}

/// Bytes of `struct sched_attr`: its first version, and as it is known here.
const ATTR_BYTES_MIN: u32 = 48;
const ATTR_BYTES: u32 = 56;
/// SCHED_FLAG_RESET_ON_FORK
const FLAG_RESET_ON_FORK: u64 = 1;

/// sched_setattr(2)
pub fn sched_setattr(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.arg(1) == 0 || call.int(0) < 0 || call.uint(2) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let memory = task.memory();
    let size = match memory.read_struct::<u32>(call.arg(1))? {
        0 => ATTR_BYTES_MIN,
        size => size,
    };
    if !(ATTR_BYTES_MIN..=4096).contains(&size) {
        memory.write_struct(call.arg(1), &ATTR_BYTES)?;
        return Err(Errno::E2BIG.into());
    }
    let bytes = memory.read_vec(call.arg(1), size as usize)?;
    if bytes.iter().skip(ATTR_BYTES as usize).any(|byte| *byte != 0) {
        memory.write_struct(call.arg(1), &ATTR_BYTES)?;
        return Err(Errno::E2BIG.into());
    }
    let (policy, flags) = (u32::from_bytes(&bytes[4..]), u64::from_bytes(&bytes[8..]));
    let (nice, priority) = (i32::from_bytes(&bytes[16..]), i32::from_bytes(&bytes[20..]));
    if flags & !FLAG_RESET_ON_FORK != 0 || policy.cast_signed() < 0 {
        return Err(Errno::EINVAL.into());
    }
    let other = target(task, call.int(0))?;
    let nice = Some(nice.clamp(-20, 19));
    Ok(Wish { policy: Some(policy), priority, reset: Some(flags != 0), nice }.apply(task, &other)?)
}

/// sched_getattr(2)
pub fn sched_getattr(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.arg(1) == 0 || call.int(0) < 0 || call.uint(3) != 0 || !(ATTR_BYTES_MIN..=4096).contains(&call.uint(2)) {
        return Err(Errno::EINVAL.into());
    }
    let scheduling = target(task, call.int(0))?.settings.lock().scheduling;
    let len = call.uint(2).min(ATTR_BYTES);
    let mut to = Encoder::new();
    to.put(len).put(scheduling.policy).put(u64::from(scheduling.reset_on_fork)).put(scheduling.nice);
    to.put(scheduling.priority).zeros(24);
    // Utilisation clamps of later versions: the whole range.
    to.put(0_u32).put(1024_u32);
    Ok(task.memory().write_bytes(call.arg(1), &to.finish()[..len as usize])?)
}

/// sched_setaffinity(2)
pub fn sched_setaffinity(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let len = usize::try_from(call.uint(1)).unwrap_or(0).min(8);
    let mut mask = [0; 8];
    task.memory().read_bytes(call.arg(2), &mut mask[..len])?;
    let other = with_affinity(task, call.int(0))?;
    if !may_change(task, &other) && !task.credentials().has(Capabilities::SYS_NICE) {
        return Err(Errno::EPERM.into());
    }
    let mask = u64::from_le_bytes(mask) & all_cpus(task);
    if mask == 0 {
        return Err(Errno::EINVAL.into());
    }
    other.settings.lock().scheduling.affinity = mask;
    Ok(())
}

/// sched_getaffinity(2)
pub fn sched_getaffinity(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let len = call.uint(1);
    if u64::from(len) * 8 < u64::from(task.kernel().cpus()) || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    let other = with_affinity(task, call.int(0))?;
    let mask = other.settings.lock().scheduling.affinity & all_cpus(task);
    task.memory().write_struct(call.arg(2), &mask)?;
    Ok(8)
}

/// A bit for each CPU of the sandbox; at most 64 are shown.
fn all_cpus(task: &Task) -> u64 {
    1_u64.checked_shl(task.kernel().cpus()).map_or(u64::MAX, |bit| bit - 1)
}

/// getcpu(2)
pub fn getcpu(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    task.memory().write_optional(call.arg(0), &0_u32)?;
    Ok(task.memory().write_optional(call.arg(1), &0_u32)?)
}

/// The tasks that setpriority(2) and ioprio_set(2) name: a process, a group or a user.
fn by_which(task: &Arc<Task>, which: Which, id: i32) -> Result<Vec<Arc<Task>>, Errno> {
    let pids = task.process().pids();
    Ok(match which {
        Which::Process if id == 0 => alloc::vec![task.clone()],
        Which::Process => Pid::new(id).and_then(|pid| pids.task(pid)).into_iter().collect(),
        Which::Group => {
            let group = if id == 0 { task.group() } else { Pid::new(id).ok_or(Errno::ESRCH)? };
            pids.group(group).iter().flat_map(|process| process.tasks()).collect()
        }
        Which::User => {
            let uid = if id == 0 { task.credentials().uid } else { id.cast_unsigned() };
            let tasks = pids.processes().into_iter().flat_map(|process| process.tasks());
            tasks.filter(|task| task.credentials().uid == uid).collect()
        }
    })
}

#[derive(Clone, Copy)]
enum Which {
    Process,
    Group,
    User,
}

fn priority_which(number: i32) -> Result<Which, Errno> {
    match number {
        0 => Ok(Which::Process),
        1 => Ok(Which::Group),
        2 => Ok(Which::User),
        _ => Err(Errno::EINVAL),
    }
}

/// setpriority(2)
pub fn setpriority(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let which = priority_which(call.int(0))?;
    let nice = call.int(2).clamp(-20, 19);
    let mut result = Err(Errno::ESRCH);
    for other in by_which(task, which, call.int(1))? {
        result = set_nice(task, &other, nice).and(if result == Err(Errno::ESRCH) { Ok(()) } else { result });
    }
    Ok(result?)
}

fn set_nice(task: &Task, other: &Task, nice: i32) -> Result<(), Errno> {
    let free = task.credentials().has(Capabilities::SYS_NICE);
    let (mine, theirs) = (task.credentials(), other.credentials());
    if !free && theirs.uid != mine.euid && theirs.euid != mine.euid {
        return Err(Errno::EPERM);
    }
    let old = other.settings.lock().scheduling.nice;
    if nice < old && !free && !can_nice(other.process().limit(Resource::Nice), nice) {
        return Err(Errno::EACCES);
    }
    other.settings.lock().scheduling.nice = nice;
    Ok(())
}

/// getpriority(2)
pub fn getpriority(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let tasks = by_which(task, priority_which(call.int(0))?, call.int(1))?;
    let lowest = tasks.iter().map(|task| task.settings.lock().scheduling.nice).min().ok_or(Errno::ESRCH)?;
    Ok(u64::from((20 - lowest).unsigned_abs()))
}

fn io_which(number: i32) -> Result<Which, Errno> {
    match number {
        1 => Ok(Which::Process),
        2 => Ok(Which::Group),
        3 => Ok(Which::User),
        _ => Err(Errno::EINVAL),
    }
}

/// ioprio_set(2)
pub fn ioprio_set(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let priority = call.uint(2);
    let (class, level) = (priority >> 13 & 7, priority & 7);
    match class {
        // IOPRIO_CLASS_NONE, _RT, _BE, _IDLE
        0 if level == 0 => {}
        1 if task.credentials().has(Capabilities::SYS_NICE) || task.credentials().has(Capabilities::SYS_ADMIN) => {}
        1 => return Err(Errno::EPERM.into()),
        2 | 3 => {}
        _ => return Err(Errno::EINVAL.into()),
    }
    let tasks = by_which(task, io_which(call.int(0))?, call.int(1))?;
    if tasks.is_empty() {
        return Err(Errno::ESRCH.into());
    }
    for other in tasks {
        if !may_change(task, &other) && !task.credentials().has(Capabilities::SYS_NICE) {
            return Err(Errno::EPERM.into());
        }
        other.settings.lock().scheduling.io_priority = priority;
    }
    Ok(())
}

/// ioprio_get(2)
pub fn ioprio_get(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let tasks = by_which(task, io_which(call.int(0))?, call.int(1))?;
    let best = tasks.iter().map(|task| task.settings.lock().scheduling.io_priority).min();
    Ok(best.ok_or(Errno::ESRCH)?.into())
}
