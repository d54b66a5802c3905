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
        match rustix::io::read(&self.descriptor, buffer) {
            // A terminal whose other end is closed.
            Err(rustix::io::Errno::IO) => Ok(0),
            result => result.map_err(errno),
        }
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
            hang_up: events.intersects(PollFlags::HUP | PollFlags::ERR),
        }
    }

    fn watch(&self, waker: Arc<dyn Wake>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn streams_never_block_and_tell_of_changes() {
        let (read, write) = rustix::pipe::pipe().expect("make a pipe");
        let (input, output) = (Stream::new(read), Stream::new(write));
        let told = Arc::new(Count::default());
        input.watch(told.clone());
        assert_eq!(input.read(&mut [0; 10]), Err(Errno::EAGAIN));
        assert!(!input.readiness().readable && output.readiness().writable);
        assert_eq!(output.write(b"some words"), Ok(10));
        input.news();
        assert_eq!(told.0.load(Ordering::Relaxed), 1);
        let mut bytes = [0; 20];
        assert_eq!((input.read(&mut bytes), &bytes[..10]), (Ok(10), &b"some words"[..]));
        while output.write(&[0; 100_000]).is_ok() {}
        assert_eq!(output.write(&[0]), Err(Errno::EAGAIN));
        drop(input);
        assert_eq!((output.write(&[0]), output.readiness().hang_up), (Err(Errno::EPIPE), true));
    }

    #[test]
    fn a_terminal_without_its_other_end_is_at_its_end() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("open a terminal");
        unlockpt(&master).expect("unlock it");
        let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("open its slave");
        let input = Stream::new(master);
        drop(slave);
        assert_eq!(input.read(&mut [0; 10]), Ok(0));
    }
}
