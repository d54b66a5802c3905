//! close(2), dup(2), and the descriptors' side of fcntl(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::descriptor_limit;
use crate::Errno;
use crate::task::Task;
use crate::vfs::{Descriptor, FdFlags, FdTable, OpenFlags};
use crate::wait::Stop;

/// close(2)
pub fn close(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let files = task.files();
    let closed = files.remove(call.int(0))?;
    release(task, &files, closed);
    Ok(())
}

/// Lets go of what a number stood for: the process's POSIX locks on the file end (fcntl(2)).
fn release(task: &Arc<Task>, files: &Arc<FdTable>, closed: Descriptor) {
    task.kernel().vfs().closed(&closed.file, files);
    closed.file.object().closed_by(task);
}

/// close_range(2)
pub fn close_range(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    let (first, last, flags) = (call.uint(0), call.uint(1), call.uint(2));
    if flags & !(UNSHARE | CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL.into());
    }
    if flags & UNSHARE != 0 {
        task.set_files(task.files().copy());
    }
    let files = task.files();
    if flags & CLOEXEC != 0 {
        files.mark_range(first, last);
        return Ok(());
    }
    for closed in files.remove_range(first, last) {
        release(task, &files, closed);
    }
    Ok(())
}

/// dup(2)
pub fn dup(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    Ok(duplicate(task, call.int(0), 0, FdFlags::empty())?)
}

/// dup2(2)
pub fn dup2(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (from, to) = (call.int(0), call.int(1));
    if from == to {
        task.files().get(from)?;
        return Ok(number(to)?);
    }
    Ok(replace(task, from, to, FdFlags::empty())?)
}

/// dup3(2)
pub fn dup3(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (from, to, flags) = (call.int(0), call.int(1), call.uint(2));
    if from == to || flags & !abi::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    let flags = if flags == 0 { FdFlags::empty() } else { FdFlags::CLOSE_ON_EXEC };
    Ok(replace(task, from, to, flags)?)
}

/// Duplicates to the lowest free number that is at least `from`.
pub(super) fn duplicate(task: &Arc<Task>, fd: i32, from: i32, flags: FdFlags) -> Result<u64, Errno> {
    let files = task.files();
    let file = files.get(fd)?;
    number(files.insert(file, flags, from, descriptor_limit(task))?)
}

fn replace(task: &Arc<Task>, from: i32, to: i32, flags: FdFlags) -> Result<u64, Errno> {
    let files = task.files();
    let file = files.get(from)?;
    if let Some(closed) = files.replace(to, file, flags, descriptor_limit(task))? {
        release(task, &files, closed);
    }
    number(to)
}

fn number(fd: i32) -> Result<u64, Errno> {
    u64::try_from(fd).map_err(|_| Errno::EBADF)
}

/// fcntl(2)
pub fn fcntl(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (fd, command) = (call.int(0), call.uint(1));
    let files = task.files();
    let descriptor = files.descriptor(fd)?;
    let allowed = [abi::F_DUPFD, abi::F_DUPFD_CLOEXEC, abi::F_GETFD, abi::F_SETFD, abi::F_GETFL];
    if descriptor.file.is_path_only() && !allowed.contains(&command) {
        return Err(Errno::EBADF.into());
    }
    match command {
        abi::F_DUPFD => Ok(duplicate_from(task, fd, call.int(2), FdFlags::empty())?),
        abi::F_DUPFD_CLOEXEC => Ok(duplicate_from(task, fd, call.int(2), FdFlags::CLOSE_ON_EXEC)?),
        abi::F_GETFD => Ok(descriptor.flags.bits().into()),
        abi::F_SETFD => {
            files.set_flags(fd, FdFlags::from_bits_truncate(call.uint(2)))?;
            Ok(0)
        }
        abi::F_GETFL => Ok(descriptor.file.flags().bits().into()),
        abi::F_SETFL => {
            descriptor.file.signals().set_descriptor(call.int(0));
            descriptor.file.set_status(OpenFlags::from_bits_truncate(call.uint(2)));
            Ok(0)
        }
        _ => super::fcntl::other(task, call, &descriptor.file, command),
    }
}

fn duplicate_from(task: &Arc<Task>, fd: i32, from: i32, flags: FdFlags) -> Result<u64, Errno> {
    let in_range = u64::try_from(from).is_ok_and(|from| from < descriptor_limit(task));
    if in_range { duplicate(task, fd, from, flags) } else { Err(Errno::EINVAL) }
}
