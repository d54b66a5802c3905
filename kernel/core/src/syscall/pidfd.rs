//! Files that stand for processes: pidfd_open(2), pidfd_getfd(2), CLONE_PIDFD.

use alloc::string::String;
use alloc::sync::Arc;

use super::Call;
use crate::Errno;
use crate::task::{Capabilities, Pid, Process, Resource, Task};
use crate::vfs::{FdFlags, File, FileObject, OpenFlags, PollEvents};
use crate::wait::{SharedQueue, Stop};

/// A process as a file: readable once it has ended.
#[derive(Debug)]
pub struct PidFd {
    process: Arc<Process>,
}

impl PidFd {
    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }
}

impl FileObject for PidFd {
    fn describe(&self) -> String {
        let pid = if self.process.is_gone() { -1 } else { i64::from(self.process.pid().raw()) };
        alloc::format!("Pid:\t{pid}\nNSpid:\t{pid}\n")
    }

    fn poll(&self) -> PollEvents {
        match (self.process.is_gone(), self.process.has_ended()) {
            (true, _) => PollEvents::READABLE | PollEvents::HUP,
            (false, true) => PollEvents::READABLE,
            (false, false) => PollEvents::empty(),
        }
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.process.end_events().clone())
    }
}

/// The process behind a descriptor: `EBADF` if it is none.
pub(super) fn process_of(file: &File) -> Result<Arc<Process>, Errno> {
    file.downcast::<PidFd>().map(|pidfd| pidfd.process.clone()).ok_or(Errno::EBADF)
}

fn open(task: &Task, process: Arc<Process>, flags: OpenFlags) -> Result<i32, Errno> {
    let object = Arc::new(PidFd { process });
    let owner = task.credentials();
    let file = task.kernel().vfs().open_anonymous("[pidfd]", object, flags | OpenFlags::READ_WRITE, &owner)?;
    task.files().insert(file, FdFlags::CLOSE_ON_EXEC, 0, task.process().limit(Resource::Files).soft)
}

/// Stores a descriptor for a new child, for CLONE_PIDFD.
pub(super) fn give(task: &Task, child: &Task, address: u64) -> Result<(), Errno> {
    let fd = open(task, child.process().clone(), OpenFlags::empty())?;
    task.memory().write_struct(address, &fd)
}

/// pidfd_open(2)
pub fn pidfd_open(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = OpenFlags::from_bits_retain(call.uint(1));
    if !OpenFlags::NONBLOCK.contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    let pid = Pid::new(call.int(0)).ok_or(Errno::EINVAL)?;
    let pids = task.process().pids();
    let Some(process) = pids.process(pid) else {
        // The id of a task that leads no process (before PIDFD_THREAD).
        return Err(if pids.task(pid).is_some() { Errno::EINVAL } else { Errno::ESRCH }.into());
    };
    Ok(u64::from(open(task, process, flags)?.unsigned_abs()))
}

/// pidfd_getfd(2)
pub fn pidfd_getfd(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    if call.uint(2) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let process = process_of(&*task.files().get(call.int(0))?)?;
    let other = process.leader().ok_or(Errno::ESRCH)?;
    task.check_inspect(&other)?;
    let file = other.files().get(call.int(1))?;
    let fd = task.files().insert(file, FdFlags::CLOSE_ON_EXEC, 0, task.process().limit(Resource::Files).soft)?;
    Ok(u64::from(fd.unsigned_abs()))
}

impl Task {
    /// Whether it may look into another task (`PTRACE_MODE_READ_REALCREDS` of ptrace(2)).
    pub fn check_inspect(&self, other: &Task) -> Result<(), Errno> {
        if Arc::ptr_eq(self.process(), other.process()) {
            return Ok(());
        }
        let (mine, theirs) = (self.credentials(), other.credentials());
        let same_user = [theirs.uid, theirs.euid, theirs.suid].iter().all(|uid| *uid == mine.uid)
            && [theirs.gid, theirs.egid, theirs.sgid].iter().all(|gid| *gid == mine.gid);
        let dumpable = other.settings.lock().dumpable == 1;
        let allowed = same_user && dumpable && mine.permitted.contains(theirs.permitted);
        if allowed || mine.has(Capabilities::SYS_PTRACE) { Ok(()) } else { Err(Errno::EPERM) }
    }
}
