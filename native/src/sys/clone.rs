//! clone3(2), unshare(2), setns(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::check;
use super::process::exit;

bitflags::bitflags! {
    /// The clone flags that this crate uses (linux/sched.h).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct CloneFlags: u32 {
        const NEWTIME = 0x0000_0080;
        const PARENT = 0x0000_8000;
        const NEWNS = 0x0002_0000;
        const NEWCGROUP = 0x0200_0000;
        const NEWUTS = 0x0400_0000;
        const NEWIPC = 0x0800_0000;
        const NEWUSER = 0x1000_0000;
        const NEWPID = 0x2000_0000;
        const NEWNET = 0x4000_0000;
    }
}

/// linux/sched.h; a flag of clone3 only, above clone's 32 bits.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Runs `child` in a new process and returns its pid, as the caller's pid namespace counts.
///
/// The child has a copy of the caller's memory, so `child` may use all that was computed before. The calling process
/// must have one thread: a lock that another thread held would stay locked in the child for ever.
pub(crate) fn clone3(
    flags: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
    child: impl FnOnce() -> std::convert::Infallible,
) -> io::Result<u32> {
    // SAFETY: clone_args is plain integers; zero is each field's "not used".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(flags.bits());
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(io::Error::other)?;
    }
    // With CLONE_PARENT the exit signal is the caller's own (clone(2)).
    args.exit_signal = if flags.contains(CloneFlags::PARENT) { 0 } else { libc::SIGCHLD.cast_unsigned().into() };
    // SAFETY: without CLONE_VM this is fork(2): the child runs on a copy of this stack, args outlives the call, and the
    // caller has one thread (documented above), so no lock is held by a thread that the child lacks.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) })?;
    if pid == 0 {
        run(child);
    }
    u32::try_from(pid).map_err(io::Error::other)
}

fn run(child: impl FnOnce() -> std::convert::Infallible) -> std::convert::Infallible {
    let _guard = EndWithPanic;
    child()
}

/// Ends a clone whose panic would otherwise unwind into what its creator was about to do.
struct EndWithPanic;

impl Drop for EndWithPanic {
    fn drop(&mut self) {
        exit(127);
    }
}

/// Moves the calling thread into new namespaces.
pub(crate) fn unshare(flags: CloneFlags) -> io::Result<()> {
    // SAFETY: flags hold namespaces only, none of CLONE_FILES or CLONE_FS, so no other code's view of memory changes.
    check(unsafe { libc::unshare(flags.bits().cast_signed()) }.into()).map(drop)
}

/// Joins one namespace by its file, or several by a pidfd.
pub(crate) fn setns(fd: impl AsFd, flags: CloneFlags) -> io::Result<()> {
    // SAFETY: setns reads two integers.
    check(unsafe { libc::setns(fd.as_fd().as_raw_fd(), flags.bits().cast_signed()) }.into()).map(drop)
}

/// Joins namespaces of a process of whose pid namespace the caller is, or one above.
pub(crate) fn join(pid: u32, flags: CloneFlags) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    setns(pidfd_open(pid, PidfdFlags::empty())?, flags)
}

/// The type of namespace that a file is, as a clone flag (ioctl_ns(2)).
pub(crate) fn namespace_type(fd: impl AsFd) -> io::Result<CloneFlags> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: this ioctl takes no argument and writes no memory; on a file that is no namespace it fails with ENOTTY.
    let kind = check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE) }.into())?;
    u32::try_from(kind).ok().and_then(CloneFlags::from_bits).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
