//! The listener of one thread: seccomp_unotify(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::checked;
use crate::path::TrapPath;

const RECEIVE: u64 = 0xc050_2100;
const SEND: u64 = 0xc018_2101;
const ADD_DESCRIPTOR: u64 = 0x4018_2103;
const SET_FLAGS: u64 = 0x4008_2104;
const FLAG_CONTINUE: u32 = 1;
const FLAG_SET_NUMBER: u32 = 1;
const SYNC_WAKE_UP: u64 = 1;

/// Whether the host knows these flags of SECCOMP_SET_MODE_FILTER: it looks at them before it misses the filter.
pub(crate) fn knows_flags(flags: u64) -> bool {
    // SAFETY: without a filter the call fails in any case.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, 0) };
    checked(result).is_err_and(|error| error.raw_os_error() == Some(libc::EFAULT))
}

/// Whether the host knows SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP. Only a listener tells, so a thread makes itself one.
pub(crate) fn knows_sync_wake_up() -> io::Result<bool> {
    std::thread::spawn(|| listener_of_this_thread().map(|listener| set_sync_wake_up(&listener)))
        .join()
        .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// Puts a filter on that allows everything.
fn listener_of_this_thread() -> io::Result<OwnedFd> {
    let mut allow = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 }];
    let program = libc::sock_fprog { len: 1, filter: allow.as_mut_ptr() };
    // SAFETY: the program lives during the call; the thread ends soon, and with it what is changed here.
    let fd = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        checked(libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 8, &raw const program))?
    };
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the host just gave it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set_sync_wake_up(listener: &OwnedFd) -> bool {
    // SAFETY: the argument is a number; hosts before Linux 6.6, and other files, refuse it.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
    result == 0
}

/// `struct seccomp_notif`: a system call that waits for its reply.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Notification {
    pub(crate) id: u64,
    pub(crate) tid: u32,
    flags: u32,
    pub(crate) number: u32,
    arch: u32,
    pub(crate) instruction_pointer: u64,
    pub(crate) arguments: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddDescriptor {
    id: u64,
    flags: u32,
    source: u32,
    number: u32,
    number_flags: u32,
}

/// How a notification is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The call returns this.
    Value(i64),
    /// The call fails with a number that the host may act on (ERESTARTNOINTR).
    Error(i32),
    /// The host does the call.
    Continue,
}

/// A thread's listener.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

impl Listener {
    /// Takes a descriptor that a spawner sent. If it is something else, the first call on it fails.
    pub(crate) fn new(fd: OwnedFd, path: TrapPath) -> Self {
        if path == TrapPath::Sync {
            set_sync_wake_up(&fd);
        }
        Self(fd)
    }

    /// Waits for the next call. ENOENT: it went away, or the thread is dead.
    pub(crate) fn receive(&self) -> io::Result<Notification> {
        let mut notification = Notification::default();
        // SAFETY: the host fills a structure of this size, which the number of the ioctl tells.
        checked(unsafe { libc::ioctl(self.0.as_raw_fd(), RECEIVE, &raw mut notification) }.into())?;
        Ok(notification)
    }

    /// Answers a call. ENOENT: it went away.
    pub(crate) fn send(&self, id: u64, answer: Answer) -> io::Result<()> {
        let (value, error, flags) = match answer {
            Answer::Value(value) => (value, 0, 0),
            Answer::Error(error) => (0, error, 0),
            Answer::Continue => (0, 0, FLAG_CONTINUE),
        };
        let response = Response { id, value, error, flags };
        // SAFETY: the host reads a structure of this size.
        checked(unsafe { libc::ioctl(self.0.as_raw_fd(), SEND, &raw const response) }.into()).map(drop)
    }

    /// Puts a copy of `fd` at `number` in the process whose call `id` waits.
    pub(crate) fn add_descriptor(&self, id: u64, fd: BorrowedFd<'_>, number: u32) -> io::Result<()> {
        let source = u32::try_from(fd.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let add = AddDescriptor { id, flags: FLAG_SET_NUMBER, source, number, number_flags: 0 };
        // SAFETY: the host reads a structure of this size.
        checked(unsafe { libc::ioctl(self.0.as_raw_fd(), ADD_DESCRIPTOR, &raw const add) }.into()).map(drop)
    }

    /// Whether the thread is dead.
    pub(crate) fn is_dead(&self) -> bool {
        use rustix::event::PollFlags;
        self.poll().is_none_or(|events| events.intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// Whether a call waits to be received.
    pub(crate) fn has_call(&self) -> bool {
        self.poll().is_some_and(|events| events.contains(rustix::event::PollFlags::IN))
    }

    fn poll(&self) -> Option<rustix::event::PollFlags> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).ok()?;
        Some(fds[0].revents())
    }
}
