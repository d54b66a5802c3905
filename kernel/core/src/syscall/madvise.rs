//! What becomes of mapped pages: madvise(2), msync(2), mincore(2), mlock(2) and their like, membarrier(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::mmap::check_may_lock;
use super::{Call, Outcome};
use crate::Errno;
use crate::mm::{Advised, Invalidate, LockNow, MemoryLimits, VmaFlags};
use crate::platform::Form;
use crate::task::Task;
use crate::wait::Stop;

/// madvise(2)
pub fn madvise(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    match task.memory().advise(call.arg(0), call.arg(1), call.int(2))? {
        Advised::Native if call.form == Form::Direct => Ok(task.answer_native()),
        Advised::Native | Advised::Nothing => Ok(Outcome::Value(0)),
    }
}

bitflags::bitflags! {
    /// The flags of msync(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct SyncFlags: u32 {
        const ASYNC = abi::MS_ASYNC;
        const INVALIDATE = abi::MS_INVALIDATE;
        const SYNC = abi::MS_SYNC;
    }
}

/// msync(2)
pub fn msync(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = SyncFlags::from_bits(call.uint(2)).ok_or(Errno::EINVAL)?;
    if flags.contains(SyncFlags::ASYNC | SyncFlags::SYNC) {
        return Err(Errno::EINVAL.into());
    }
    let invalidate = if flags.contains(SyncFlags::INVALIDATE) { Invalidate::Yes } else { Invalidate::No };
    let (files, whole) = task.memory().shared_files(call.arg(0), call.arg(1), invalidate)?;
    if flags.contains(SyncFlags::SYNC) {
        for (source, offset, len) in files {
            source.sync(offset, len)?;
        }
    }
    Ok(whole.map(|()| 0)?)
}

/// mincore(2): the host knows.
pub fn mincore(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let memory = task.memory();
    memory.check_range(call.arg(0), call.arg(1))?;
    if call.arg(1) == 0 {
        return Ok(Outcome::Value(0));
    }
    let pages = call.arg(1).div_ceil(crate::mm::PAGE);
    memory.check_range(crate::mm::page_down(call.arg(2)), pages).map_err(|_| Errno::EFAULT)?;
    Ok(Outcome::Reply(crate::platform::Reply::Native))
}

/// The limit on locked memory, for those who may lock any.
fn lock_limits(task: &Task) -> Result<MemoryLimits, Errno> {
    check_may_lock(task)?;
    Ok(task.memory_limits())
}

/// mlock(2)
pub fn mlock(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(task.memory().lock(call.arg(0), call.arg(1), VmaFlags::LOCKED, &lock_limits(task)?)?)
}

/// mlock2(2)
pub fn mlock2(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = match call.uint(2) {
        0 => VmaFlags::LOCKED,
        abi::MLOCK_ONFAULT => VmaFlags::LOCKED | VmaFlags::LOCKED_ON_FAULT,
        _ => return Err(Errno::EINVAL.into()),
    };
    Ok(task.memory().lock(call.arg(0), call.arg(1), flags, &lock_limits(task)?)?)
}

/// munlock(2)
pub fn munlock(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(task.memory().unlock(call.arg(0), call.arg(1))?)
}

bitflags::bitflags! {
    /// The flags of mlockall(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct LockAll: u32 {
        const CURRENT = abi::MCL_CURRENT;
        const FUTURE = abi::MCL_FUTURE;
        const ON_FAULT = abi::MCL_ONFAULT;
    }
}

/// mlockall(2)
pub fn mlockall(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = LockAll::from_bits(call.uint(0)).ok_or(Errno::EINVAL)?;
    if !flags.intersects(LockAll::CURRENT | LockAll::FUTURE) {
        return Err(Errno::EINVAL.into());
    }
    let limits = lock_limits(task)?;
    let on_fault = if flags.contains(LockAll::ON_FAULT) { VmaFlags::LOCKED_ON_FAULT } else { VmaFlags::empty() };
    let locked = VmaFlags::LOCKED | on_fault;
    let now = if flags.contains(LockAll::CURRENT) { LockNow::Current } else { LockNow::Nothing };
    let future = if flags.contains(LockAll::FUTURE) { locked } else { VmaFlags::empty() };
    Ok(task.memory().lock_all(now, locked, future, &limits)?)
}

/// munlockall(2)
pub fn munlockall(task: &Arc<Task>, _: &mut Call) -> Result<(), Stop> {
    let none = VmaFlags::empty();
    Ok(task.memory().lock_all(LockNow::Current, none, none, &MemoryLimits::NONE)?)
}

/// MEMBARRIER_CMD_GLOBAL, its expedited form and registration, and the private ones with core serialisation.
const BARRIERS: u64 = 0x7f;

/// membarrier(2): an address space is a process of the host, so that the host's barriers are right.
pub fn membarrier(_: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let (command, flags) = (call.uint(0), call.uint(1));
    match command {
        _ if flags != 0 => Err(Errno::EINVAL.into()),
        0 => Ok(Outcome::Value(BARRIERS)),
        _ if command.is_power_of_two() && u64::from(command) & BARRIERS != 0 => {
            Ok(Outcome::Reply(crate::platform::Reply::Native))
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
