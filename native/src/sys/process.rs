//! What a process sets on itself before execve(2).

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// Strings as execve(2) wants them: pointers that end with a null one.
#[derive(Debug)]
pub(crate) struct CStrings {
    strings: Vec<CString>,
}

impl CStrings {
    /// Fails when a string holds a zero byte.
    pub(crate) fn new<'a>(strings: impl IntoIterator<Item = &'a String>) -> io::Result<Self> {
        let strings = strings.into_iter().map(|s| CString::new(s.as_bytes())).collect::<Result<_, _>>()?;
        Ok(Self { strings })
    }

    /// As [`CStrings::new`], for strings of any encoding.
    pub(crate) fn from_bytes(strings: impl IntoIterator<Item = Vec<u8>>) -> io::Result<Self> {
        let strings = strings.into_iter().map(CString::new).collect::<Result<_, _>>()?;
        Ok(Self { strings })
    }

    fn pointers(&self) -> Vec<*const libc::c_char> {
        self.strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    }
}

/// Becomes another program; returns only on failure.
pub(crate) fn execve(program: &CStr, arguments: &CStrings, environment: &CStrings) -> io::Error {
    let (arguments, environment) = (arguments.pointers(), environment.pointers());
    // SAFETY: both arrays end with null and their strings outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Becomes the program behind a descriptor; returns only on failure.
pub(crate) fn execveat(program: impl AsFd, arguments: &CStrings, environment: &CStrings) -> io::Error {
    let (program, arguments, environment) = (program.as_fd().as_raw_fd(), arguments.pointers(), environment.pointers());
    // SAFETY: both arrays end with null and, like the empty path, outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Ends the process without running anything of its parent's: no atexit handlers, no flushing of copied buffers.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory.
    unsafe { libc::_exit(status) }
}

/// Gives signals back their defaults: an empty mask, and none ignored, as Rust's runtime has SIGPIPE and nohup(1)
/// SIGHUP.
pub(crate) fn reset_signals() -> io::Result<()> {
    // SAFETY: the set is initialised by sigemptyset before use; SIG_DFL runs no code of ours.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()).into())?;
        for signal in 1..=libc::SIGSYS {
            // SIGKILL and SIGSTOP are refused, and always have their defaults.
            libc::signal(signal, libc::SIG_DFL);
        }
    }
    Ok(())
}

/// Has a command start as [`reset_signals`] leaves a process: else it inherits what its caller blocks.
pub(crate) fn with_default_signals(command: &mut std::process::Command) -> &mut std::process::Command {
    // SAFETY: reset_signals makes system calls on memory of its own, which is allowed between fork and exec.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, reset_signals) }
}

/// Closes descriptors `first..=last`.
pub(crate) fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the callers are processes about to exec, which use none of these descriptors again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Takes over a descriptor that the process was started with. What it executes later does not inherit it.
pub(crate) fn take_descriptor(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the flag of a number is changed; one that is not open is refused.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, and whoever started the process gave it away.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes `new` refer to what `old` does, without close-on-exec, whatever `new` was before.
pub(crate) fn dup2(old: RawFd, new: RawFd) -> io::Result<()> {
    // SAFETY: only standard streams and preserved descriptors of a process about to exec are replaced; nobody owns
    // them.
    check(unsafe { libc::dup2(old, new) }.into()).map(drop)
}

/// personality(2).
pub(crate) fn personality(persona: libc::c_ulong) -> io::Result<()> {
    // SAFETY: takes one integer; the flags allowed by our caller do not change the layout of mapped memory.
    check(unsafe { libc::personality(persona) }.into()).map(drop)
}

/// A new anonymous or named session keyring (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING), searchable by its user.
pub(crate) fn join_session_keyring(name: &CStr) -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: the name is a terminated string that outlives the call.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }).map(drop)
}

/// ioprio_set(2) for the calling process.
pub(crate) fn set_io_priority(value: libc::c_int) -> io::Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: takes integers only.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }).map(drop)
}

/// What sched_setattr(2) reads (linux/sched/types.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedAttr {
    /// Its own, in bytes.
    pub size: u32,
    /// SCHED_OTHER, ...
    pub policy: u32,
    /// SCHED_FLAG_RESET_ON_FORK, ...
    pub flags: u64,
    /// -20..=19
    pub nice: i32,
    /// 1..=99 for SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// For SCHED_DEADLINE, in nanoseconds.
    pub runtime: u64,
    /// The same.
    pub deadline: u64,
    /// The same.
    pub period: u64,
}

/// sched_setattr(2) for the calling process.
pub(crate) fn set_scheduler(mut attr: SchedAttr) -> io::Result<()> {
    attr.size = u32::try_from(size_of::<SchedAttr>()).map_err(io::Error::other)?;
    // SAFETY: attr lives through the call and carries its size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) }).map(drop)
}

/// pidfd_send_signal(2) for any signal number, the real-time ones included, which rustix has no names for.
pub(crate) fn send_signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: without a siginfo the call reads integers only.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, none, 0) }).map(drop)
}
