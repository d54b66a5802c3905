//! What fcntl(2) does with open files.

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::locks;
use crate::Errno;
use crate::fs::{Seals, sealed_node};
use crate::pipe::{CAPACITY_MAX, PipeEnd};
use crate::signal::Signal;
use crate::task::{Capabilities, Pid, Task};
use crate::vfs::{File, FileKind, FileOwner, WatchMask};
use crate::wait::Stop;

/// The commands that are about the file, not about its descriptor.
pub(super) fn other(task: &Arc<Task>, call: &mut Call, file: &Arc<File>, command: u32) -> Result<u64, Stop> {
    let owner = locks::owner(task, file, command);
    match command {
        abi::F_GETLK | abi::F_OFD_GETLK => locks::get(task, call, file, owner),
        abi::F_SETLK | abi::F_OFD_SETLK => locks::set(task, call, file, owner, false),
        abi::F_SETLKW | abi::F_OFD_SETLKW => locks::set(task, call, file, owner, true),
        abi::F_GETPIPE_SZ => Ok(pipe(file)?.pipe().capacity() as u64),
        abi::F_SETPIPE_SZ => Ok(set_pipe_size(task, file, call.arg(2))? as u64),
        abi::F_GET_SEALS => Ok(sealed_node(file.inode())?.seals()?.bits().into()),
        abi::F_ADD_SEALS => {
            file.check_writable().map_err(|_| Errno::EPERM)?;
            let seals = Seals::from_bits(call.uint(2)).ok_or(Errno::EINVAL)?;
            sealed_node(file.inode())?.add_seals(seals)?;
            Ok(0)
        }
        abi::F_NOTIFY => notify(task, call, file),
        // Nobody ever took a lease.
        abi::F_GETLEASE => Ok(UNLOCKED),
        abi::F_SETOWN => set_owner(task, file, call.int(2)),
        abi::F_GETOWN => Ok(i64::from(plain_owner(file)).cast_unsigned()),
        abi::F_SETOWN_EX => set_owner_exactly(task, file, task.memory().read_struct(call.arg(2))?),
        abi::F_GETOWN_EX => Ok(task.memory().write_struct(call.arg(2), &exact_owner(file)).map(|()| 0)?),
        abi::F_SETSIG => {
            file.signals().set_signal(Signal::optional(call.int(2))?);
            Ok(0)
        }
        abi::F_GETSIG => Ok(file.signals().signal().map_or(0, |signal| u64::from(signal.raw().unsigned_abs()))),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// F_UNLCK
const UNLOCKED: u64 = 2;

fn pipe(file: &File) -> Result<&PipeEnd, Errno> {
    file.downcast().ok_or(Errno::EBADF)
}

fn set_pipe_size(task: &Arc<Task>, file: &File, bytes: u64) -> Result<usize, Errno> {
    let pipe = pipe(file)?;
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= 1 << 31).ok_or(Errno::EINVAL)?;
    if bytes > CAPACITY_MAX && !task.credentials().has(Capabilities::SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    pipe.pipe().set_capacity(bytes)
}

/// F_SETOWN: a process, or a group when negative.
fn set_owner(task: &Arc<Task>, file: &File, number: i32) -> Result<u64, Stop> {
    match number {
        0 => set_owner_exactly(task, file, [F_OWNER_PID, 0]),
        i32::MIN => Err(Errno::EINVAL.into()),
        1.. => set_owner_exactly(task, file, [F_OWNER_PID, number]),
        _ => set_owner_exactly(task, file, [F_OWNER_PGRP, -number]),
    }
}

const F_OWNER_TID: i32 = 0;
const F_OWNER_PID: i32 = 1;
const F_OWNER_PGRP: i32 = 2;

/// F_SETOWN_EX: `struct f_owner_ex`.
fn set_owner_exactly(task: &Arc<Task>, file: &File, [kind, number]: [i32; 2]) -> Result<u64, Stop> {
    if !(F_OWNER_TID..=F_OWNER_PGRP).contains(&kind) {
        return Err(Errno::EINVAL.into());
    }
    let pids = task.process().pids();
    let pid = || Pid::new(number).ok_or(Errno::ESRCH);
    let owner = match kind {
        _ if number == 0 => FileOwner::Nobody,
        F_OWNER_TID => FileOwner::Task(Arc::downgrade(&pids.task(pid()?).ok_or(Errno::ESRCH)?)),
        F_OWNER_PID => FileOwner::Process(Arc::downgrade(&pids.process(pid()?).ok_or(Errno::ESRCH)?)),
        _ => FileOwner::Group(task.process().namespaces().clone(), pid()?),
    };
    file.signals().set_owner(owner, task);
    file.tell_of_urgent();
    Ok(0)
}

/// `struct f_owner_ex`; nobody is process 0.
fn exact_owner(file: &File) -> [i32; 2] {
    let number = |pid: Pid| i32::try_from(pid.raw()).unwrap_or(0);
    match file.signals().owner() {
        FileOwner::Nobody => [F_OWNER_PID, 0],
        FileOwner::Task(task) => [F_OWNER_TID, task.upgrade().map_or(0, |task| number(task.tid()))],
        FileOwner::Process(process) => [F_OWNER_PID, process.upgrade().map_or(0, |process| number(process.pid()))],
        FileOwner::Group(_, group) => [F_OWNER_PGRP, number(group)],
    }
}

/// F_GETOWN
fn plain_owner(file: &File) -> i32 {
    match exact_owner(file) {
        [F_OWNER_PGRP, number] => -number,
        [_, number] => number,
    }
}

/// F_NOTIFY: signals about what happens in a directory.
fn notify(task: &Arc<Task>, call: &Call, file: &Arc<File>) -> Result<u64, Stop> {
    if file.inode().kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR.into());
    }
    let (events, signals) = (call.uint(2), file.signals());
    let mut mask = WatchMask::empty();
    for (_, watched) in NOTICES.iter().filter(|(event, _)| events & event != 0) {
        mask |= *watched;
    }
    mask.set(WatchMask::ONE_SHOT, !mask.is_empty() && events & abi::DN_MULTISHOT == 0);
    task.kernel().vfs().hooks().watches.set_directory(signals, file.path().key(), call.int(0), mask);
    if !mask.is_empty() && matches!(signals.owner(), FileOwner::Nobody) {
        signals.set_owner(FileOwner::Process(Arc::downgrade(task.process())), task);
    }
    Ok(0)
}

/// Events of F_NOTIFY, and what inotify(7) calls them.
const NOTICES: &[(u32, WatchMask)] = &[
    (abi::DN_ACCESS, WatchMask::ACCESS),
    (abi::DN_MODIFY, WatchMask::MODIFY),
    (abi::DN_CREATE, WatchMask::CREATE.union(WatchMask::MOVED_TO)),
    (abi::DN_DELETE, WatchMask::DELETE.union(WatchMask::MOVED_FROM)),
    (abi::DN_RENAME, WatchMask::MOVED_FROM.union(WatchMask::MOVED_TO)),
    (abi::DN_ATTRIB, WatchMask::ATTRIB),
];
