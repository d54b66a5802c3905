//! Signals as data: blocked, and read from a descriptor (signalfd(2)). rustix has neither call.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Every signal that can be blocked, queued on a descriptor from construction on.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks all signals of the calling thread, which must be the process's only one.
    pub fn block() -> io::Result<Self> {
        // SAFETY: sigfillset initialises the set that the two calls after it only read; flags and the -1 that asks for
        // a new descriptor are as signalfd(2) wants them.
        let fd = unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            // A fault must still end the process instead of hanging it.
            for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT] {
                libc::sigdelset(&raw mut all, fault);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd has just returned this descriptor, so nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next pending signal, if any.
    pub fn next(&self) -> io::Result<Option<i32>> {
        // SAFETY: signalfd_siginfo is plain integers, for which all-zero is a value.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let len = size_of::<libc::signalfd_siginfo>();
        // SAFETY: info is len writable bytes.
        let read = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), len) };
        if usize::try_from(read).is_ok_and(|read| read == len) {
            return Ok(Some(info.ssi_signo.cast_signed()));
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error => Err(error),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends `signal` to a process; one that has ended is no error.
pub fn forward(pid: u32, signal: i32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: kill(2) touches no memory; real-time signals have no rustix name.
        unsafe { libc::kill(pid, signal) };
    }
}
