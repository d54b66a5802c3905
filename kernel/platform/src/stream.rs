//! Streams of the host: a container's standard input and output, its terminal.
//!
//! A descriptor may share its open file with whoever started the sandbox, so O_NONBLOCK is not set on it. A blocking
//! one is read when poll(2) says so, and written in pieces that poll(2) promises room for.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use stockade_kernel::Errno;
use stockade_kernel::platform::{HostStream, Readiness, Wake};

const STOP: u64 = 0;
/// A pipe that is writable takes PIPE_BUF bytes (pipe(7)).
const PIECE_BYTES: usize = 4096;

/// Watches all streams of a machine on one thread.
#[derive(Debug)]
pub(crate) struct Streams {
    inner: Arc<Inner>,
    stop: OwnedFd,
}

#[derive(Debug)]
struct Inner {
    epoll: OwnedFd,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    last: u64,
    streams: HashMap<u64, Weak<Stream>>,
}

/// One stream.
#[derive(Debug)]
struct Stream {
    fd: OwnedFd,
    blocking: Blocking,
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocking {
    Yes,
    No,
}

impl Streams {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
        let inner = Arc::new(Inner { epoll, watched: Mutex::default() });
        let of_thread = inner.clone();
        let thread = std::thread::Builder::new().name("kernel-streams".into()).stack_size(crate::THREAD_STACK_BYTES);
        thread.spawn(move || of_thread.run())?;
        Ok(Self { inner, stop })
    }

    /// Takes a descriptor.
    pub(crate) fn add(&self, fd: OwnedFd) -> io::Result<Arc<dyn HostStream>> {
        let blocking = if fcntl_getfl(&fd)?.contains(OFlags::NONBLOCK) { Blocking::No } else { Blocking::Yes };
        let stream = Arc::new(Stream { fd, blocking, waker: Mutex::new(None) });
        let mut watched = self.inner.watched();
        watched.last += 1;
        let key = watched.last;
        let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        match epoll::add(&self.inner.epoll, &stream.fd, epoll::EventData::new_u64(key), events) {
            // A regular file or /dev/null: always ready.
            Ok(()) | Err(rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        watched.streams.retain(|_, stream| stream.strong_count() > 0);
        watched.streams.insert(key, Arc::downgrade(&stream));
        Ok(stream)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        let told = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        debug_assert!(told.is_ok(), "an eventfd takes one write");
    }
}

impl Inner {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut events = Vec::with_capacity(16);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) if events.iter().any(|event| event.data.u64() == STOP) => return,
                Ok(_) => events.iter().for_each(|event| self.wake(event.data.u64())),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return tracing::error!(%error, "streams are not watched any more"),
            }
        }
    }

    fn wake(&self, key: u64) {
        let stream = self.watched().streams.get(&key).and_then(Weak::upgrade);
        let waker = stream.and_then(|stream| stream.waker.lock().unwrap_or_else(PoisonError::into_inner).clone());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Stream {
    fn poll(&self) -> PollFlags {
        let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::IN | PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(_) => fds[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }

    /// EAGAIN when a blocking descriptor would block.
    fn demand(&self, wanted: PollFlags) -> Result<(), Errno> {
        match self.blocking == Blocking::No || self.poll().intersects(wanted | PollFlags::HUP | PollFlags::ERR) {
            true => Ok(()),
            false => Err(Errno::EAGAIN),
        }
    }
}

impl HostStream for Stream {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.demand(PollFlags::IN)?;
        match rustix::io::read(&self.fd, buffer) {
            // A terminal's master, once the last slave is closed.
            Err(rustix::io::Errno::IO) => Ok(0),
            result => result.map_err(errno),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.demand(PollFlags::OUT)?;
        let len = if self.blocking == Blocking::Yes { bytes.len().min(PIECE_BYTES) } else { bytes.len() };
        rustix::io::write(&self.fd, &bytes[..len]).map_err(errno)
    }

    fn readiness(&self) -> Readiness {
        let flags = self.poll();
        let hang_up = flags.intersects(PollFlags::HUP | PollFlags::ERR);
        Readiness {
            readable: hang_up || flags.contains(PollFlags::IN),
            writable: hang_up || flags.contains(PollFlags::OUT),
            hang_up,
        }
    }

    fn watch(&self, waker: Arc<dyn Wake>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error()).unwrap_or(Errno::EIO)
}
