//! Who a task is: getpid(2), getppid(2), gettid(2), getuid(2), setuid(2), setgroups(2) and their like.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use crate::Errno;
use crate::task::{Capabilities, Credentials, NewIds, Task};
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

/// getresuid(2)
pub fn getresuid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let credentials = task.credentials();
    store(task, call, [credentials.uid, credentials.euid, credentials.suid])
}

/// getresgid(2)
pub fn getresgid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let credentials = task.credentials();
    store(task, call, [credentials.gid, credentials.egid, credentials.sgid])
}

fn store(task: &Task, call: &Call, ids: [u32; 3]) -> Result<(), Stop> {
    for (index, id) in ids.iter().enumerate() {
        task.memory().write_struct(call.arg(index), id)?;
    }
    Ok(())
}

impl Task {
    /// Changes who it is, with what follows from that for those who look at it.
    pub(crate) fn change_credentials<T>(
        &self,
        change: impl FnOnce(&mut Credentials) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let old = self.credentials();
        let mut new = (*old).clone();
        let result = change(&mut new)?;
        if new.differs_in_power(&old) {
            let mut settings = self.settings.lock();
            settings.dumpable = 0;
            settings.parent_death_signal = None;
        }
        self.set_credentials(new);
        Ok(result)
    }
}

/// An id that an application gave: -1 leaves it as it is.
fn optional(id: u32) -> Option<u32> {
    Some(id).filter(|id| *id != u32::MAX)
}

/// An id that must be one.
fn required(id: u32) -> Result<u32, Errno> {
    optional(id).ok_or(Errno::EINVAL)
}

fn new_ids(call: &Call) -> NewIds {
    NewIds { real: optional(call.uint(0)), effective: optional(call.uint(1)), saved: optional(call.uint(2)) }
}

/// setuid(2)
pub fn setuid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let id = required(call.uint(0))?;
    Ok(task.change_credentials(|credentials| credentials.set_uid(id))?)
}

/// setgid(2)
pub fn setgid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let id = required(call.uint(0))?;
    Ok(task.change_credentials(|credentials| credentials.set_gid(id))?)
}

/// setreuid(2)
pub fn setreuid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let new = new_ids(call);
    Ok(task.change_credentials(|credentials| credentials.set_reuid(new.real, new.effective))?)
}

/// setregid(2)
pub fn setregid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let new = new_ids(call);
    Ok(task.change_credentials(|credentials| credentials.set_regid(new.real, new.effective))?)
}

/// setresuid(2)
pub fn setresuid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(task.change_credentials(|credentials| credentials.set_resuid(new_ids(call)))?)
}

/// setresgid(2)
pub fn setresgid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(task.change_credentials(|credentials| credentials.set_resgid(new_ids(call)))?)
}

/// setfsuid(2)
pub fn setfsuid(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    Ok(task.change_credentials(|credentials| Ok(credentials.set_fsuid(call.uint(0))))?.into())
}

/// setfsgid(2)
pub fn setfsgid(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    Ok(task.change_credentials(|credentials| Ok(credentials.set_fsgid(call.uint(0))))?.into())
}

/// NGROUPS_MAX
const GROUPS_MAX: u32 = 65_536;

/// getgroups(2)
pub fn getgroups(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let groups = task.credentials().groups.clone();
    let size = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    if size > 0 {
        if size < groups.len() {
            return Err(Errno::EINVAL.into());
        }
        task.memory().write_array(call.arg(1), &groups)?;
    }
    Ok(groups.len() as u64)
}

/// setgroups(2)
pub fn setgroups(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if !task.credentials().has(Capabilities::SETGID) {
        return Err(Errno::EPERM.into());
    }
    let count = call.uint(0);
    if count > GROUPS_MAX {
        return Err(Errno::EINVAL.into());
    }
    let mut groups: Vec<u32> = task.memory().read_array(call.arg(1), count as usize)?;
    if groups.contains(&u32::MAX) {
        return Err(Errno::EINVAL.into());
    }
    groups.sort_unstable();
    Ok(task.change_credentials(|credentials| {
        credentials.groups = Arc::new(groups);
        Ok(())
    })?)
}
