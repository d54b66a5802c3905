//! Who a task is: getpid(2), getppid(2), gettid(2), getuid(2) and their like.

use alloc::sync::Arc;

use super::Call;
use crate::task::Task;
use crate::wait::Stop;

/// getpid(2)
pub fn getpid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.process().pid().into())
}

/// getppid(2)
pub fn getppid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.process().parent_pid().into())
}

/// gettid(2)
pub fn gettid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.tid().into())
}

/// getuid(2)
pub fn getuid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.credentials().uid.into())
}

/// geteuid(2)
pub fn geteuid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.credentials().euid.into())
}

/// getgid(2)
pub fn getgid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.credentials().gid.into())
}

/// getegid(2)
pub fn getegid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.credentials().egid.into())
}
