//! Streams of the host: a container's standard streams, and its terminal.
//!
//! Their file descriptions are shared with processes of the host, so they are not made non-blocking: each read and
//! write asks poll(2) first. A pipe that is ready for writing takes PIPE_BUF bytes without blocking (pipe(7)).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use stockade_kernel::Errno;
use stockade_kernel::platform::{HostStream, Readiness, Wake};

/// PIPE_BUF
const ATOMIC_BYTES: usize = 4096;

/// A stream of the host.
#[derive(Debug)]
pub(super) struct Stream {
    descriptor: OwnedFd,
    /// A regular file never makes anybody wait.
    is_file: bool,
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

impl Stream {
    pub(super) fn new(descriptor: OwnedFd) -> Arc<Self> {
        let is_file =
            fstat(&descriptor).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        Arc::new(Self { descriptor, is_file, waker: Mutex::default() })
    }

    /// Something changed.
    pub(super) fn news(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn events(&self) -> PollFlags {
        let mut fds = [PollFd::new(&self.descriptor, PollFlags::IN | PollFlags::OUT)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) => fds[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error()).unwrap_or(Errno::EIO)
}

impl HostStream for Stream {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if !self.readiness().readable {
            return Err(Errno::EAGAIN);
        }
        rustix::io::read(&self.descriptor, buffer).map_err(errno)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < bytes.len() {
            if !self.is_file && !self.readiness().writable {
                break;
            }
            let end = if self.is_file { bytes.len() } else { bytes.len().min(done + ATOMIC_BYTES) };
            match rustix::io::write(&self.descriptor, &bytes[done..end]) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(errno(error)),
                Err(_) => break,
            }
        }
        if done == 0 && !bytes.is_empty() { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn readiness(&self) -> Readiness {
        if self.is_file {
            return Readiness { readable: true, writable: true, hang_up: false };
        }
        let events = self.events();
        Readiness {
            readable: events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
            writable: events.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP),
            hang_up: events.contains(PollFlags::HUP),
        }
    }

    fn watch(&self, waker: Arc<dyn Wake>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}
