//! chmod(2), chown(2), utime(2), access(2), umask(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use crate::Errno;
use crate::abi::{Timespec, Timeval};
use crate::task::{Capabilities, Credentials, Task};
use crate::vfs::permission::{Access, check_path};
use crate::vfs::{FileKind, MountFlags, Path, SetTime, Timestamp};
use crate::wait::Stop;

const CWD: i32 = abi::AT_FDCWD;

/// chmod(2)
pub fn chmod(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    change_mode(task, CWD, call.arg(0), call.uint(1), AtFlags::empty())
}

/// fchmodat(2)
pub fn fchmodat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    change_mode(task, call.int(0), call.arg(1), call.uint(2), AtFlags::empty())
}

/// fchmodat2(2)
pub fn fchmodat2(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = AtFlags::check(call.uint(3), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    change_mode(task, call.int(0), call.arg(1), call.uint(2), flags)
}

fn change_mode(task: &Arc<Task>, directory: i32, path: u64, mode: u32, flags: AtFlags) -> Result<(), Stop> {
    let at = At::new(task, directory, path)?;
    let path = at.find(flags, flags.follow())?;
    Ok(task.kernel().vfs().set_permissions(&path, mode, &at.caller.credentials)?)
}

/// fchmod(2)
pub fn fchmod(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get_open(call.int(0))?;
    Ok(task.kernel().vfs().set_permissions(file.path(), call.uint(1), &task.credentials())?)
}

/// chown(2)
pub fn chown(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    change_owner(task, (CWD, call.arg(0)), call.uint(1), call.uint(2), AtFlags::empty())
}

/// lchown(2)
pub fn lchown(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    change_owner(task, (CWD, call.arg(0)), call.uint(1), call.uint(2), AtFlags::SYMLINK_NOFOLLOW)
}

/// fchownat(2)
pub fn fchownat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = AtFlags::check(call.uint(4), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    change_owner(task, (call.int(0), call.arg(1)), call.uint(2), call.uint(3), flags)
}

/// fchown(2)
pub fn fchown(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get_open(call.int(0))?;
    let (uid, gid) = (id(call.uint(1)), id(call.uint(2)));
    Ok(task.kernel().vfs().set_owner(file.path(), uid, gid, &task.credentials())?)
}

fn change_owner(task: &Arc<Task>, place: (i32, u64), uid: u32, gid: u32, flags: AtFlags) -> Result<(), Stop> {
    let at = At::new(task, place.0, place.1)?;
    let path = at.find(flags, flags.follow())?;
    Ok(task.kernel().vfs().set_owner(&path, id(uid), id(gid), &at.caller.credentials)?)
}

/// -1 leaves an id as it is.
fn id(number: u32) -> Option<u32> {
    (number != u32::MAX).then_some(number)
}

/// utime(2)
pub fn utime(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let times = if call.arg(1) == 0 {
        [SetTime::Now; 2]
    } else {
        task.memory().read_struct::<[i64; 2]>(call.arg(1))?.map(|secs| SetTime::To(Timestamp { secs, nanos: 0 }))
    };
    set_times(task, CWD, call.arg(0), times, AtFlags::empty())
}

/// utimes(2)
pub fn utimes(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let times = microseconds(task, call.arg(1))?;
    set_times(task, CWD, call.arg(0), times, AtFlags::empty())
}

/// futimesat(2)
pub fn futimesat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let times = microseconds(task, call.arg(2))?;
    set_times(task, call.int(0), call.arg(1), times, AtFlags::empty())
}

/// utimensat(2)
pub fn utimensat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let times = nanoseconds(task, call.arg(2))?;
    let flags = AtFlags::check(call.uint(3), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    set_times(task, call.int(0), call.arg(1), times, flags)
}

/// A null path means the descriptor's file.
fn set_times(task: &Arc<Task>, fd: i32, path: u64, times: [SetTime; 2], flags: AtFlags) -> Result<(), Stop> {
    let path = if path == 0 && fd != CWD {
        task.files().get_open(fd)?.path().clone()
    } else {
        At::new(task, fd, path)?.find(flags, flags.follow())?
    };
    Ok(task.kernel().vfs().set_times(&path, times[0], times[1], &task.credentials())?)
}

fn microseconds(task: &Arc<Task>, address: u64) -> Result<[SetTime; 2], Errno> {
    if address == 0 {
        return Ok([SetTime::Now; 2]);
    }
    let times = task.memory().read_array::<Timeval>(address, 2)?;
    let set = |time: &Timeval| {
        let micros = u32::try_from(time.microseconds).ok().filter(|micros| *micros < 1_000_000).ok_or(Errno::EINVAL)?;
        Ok(SetTime::To(Timestamp { secs: time.seconds, nanos: micros * 1000 }))
    };
    Ok([set(&times[0])?, set(&times[1])?])
}

fn nanoseconds(task: &Arc<Task>, address: u64) -> Result<[SetTime; 2], Errno> {
    const NOW: i64 = abi::UTIME_NOW as i64;
    const OMIT: i64 = abi::UTIME_OMIT as i64;
    if address == 0 {
        return Ok([SetTime::Now; 2]);
    }
    let times = task.memory().read_array::<Timespec>(address, 2)?;
    let set = |time: &Timespec| match time.nanoseconds {
        NOW => Ok(SetTime::Now),
        OMIT => Ok(SetTime::Keep),
        nanos @ 0..1_000_000_000 => {
            Ok(SetTime::To(Timestamp { secs: time.seconds, nanos: u32::try_from(nanos).unwrap_or_default() }))
        }
        _ => Err(Errno::EINVAL),
    };
    Ok([set(&times[0])?, set(&times[1])?])
}

/// access(2)
pub fn access(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    check_access(task, CWD, call.arg(0), call.uint(1), AtFlags::empty())
}

/// faccessat(2)
pub fn faccessat(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    check_access(task, call.int(0), call.arg(1), call.uint(2), AtFlags::empty())
}

/// faccessat2(2)
pub fn faccessat2(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    // AT_EACCESS is the bit of AT_REMOVEDIR.
    let allowed = AtFlags::REMOVEDIR | AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let flags = AtFlags::check(call.uint(3), allowed)?;
    check_access(task, call.int(0), call.arg(1), call.uint(2), flags)
}

fn check_access(task: &Arc<Task>, directory: i32, path: u64, mode: u32, flags: AtFlags) -> Result<(), Stop> {
    let access = Access::from_bits(mode).ok_or(Errno::EINVAL)?;
    let mut at = At::new(task, directory, path)?;
    if !flags.contains(AtFlags::REMOVEDIR) {
        at.caller.credentials = Arc::new(real(&at.caller.credentials));
    }
    let path = at.find(flags, flags.follow())?;
    Ok(permits(&path, &at.caller.credentials, access)?)
}

fn permits(path: &Path, credentials: &Credentials, access: Access) -> Result<(), Errno> {
    let no_exec = path.mount.flags().contains(MountFlags::NO_EXEC) && path.inode().kind() == FileKind::Regular;
    if no_exec && access.contains(Access::EXECUTE) {
        return Err(Errno::EACCES);
    }
    check_path(path, credentials, access)
}

/// The rights that access(2) asks about: those of the real user.
fn real(credentials: &Credentials) -> Credentials {
    let mut real = Credentials { fsuid: credentials.uid, fsgid: credentials.gid, ..credentials.clone() };
    real.effective = if real.uid == 0 { credentials.permitted } else { Capabilities::empty() };
    real
}

/// umask(2)
pub fn umask(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    Ok(task.fs().set_umask(call.uint(0)).into())
}
