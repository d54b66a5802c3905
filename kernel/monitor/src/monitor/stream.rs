//! Streams of the host as the kernel knows them: a container's standard streams, and its terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use stockade_hosted::Stream as Plain;
use stockade_kernel::Errno;
use stockade_kernel::platform::{HostStream, Readiness, Wake};

/// A stream of the host, and who waits for it.
#[derive(Debug)]
pub(super) struct Stream {
    stream: Plain,
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

impl Stream {
    pub(super) fn new(descriptor: OwnedFd) -> Arc<Self> {
        Arc::new(Self { stream: Plain::new(descriptor), waker: Mutex::default() })
    }

    /// Something changed.
    pub(super) fn news(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error()).unwrap_or(Errno::EIO)
}

impl HostStream for Stream {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.stream.read(buffer).map_err(errno)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.stream.write(bytes).map_err(errno)
    }

    fn readiness(&self) -> Readiness {
        let stockade_hosted::Readiness { readable, writable, hang_up } = self.stream.readiness();
        Readiness { readable, writable, hang_up }
    }

    fn watch(&self, waker: Arc<dyn Wake>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_told_of_changes() {
        let (read, write) = rustix::pipe::pipe().expect("make a pipe");
        let (input, output) = (Stream::new(read), Stream::new(write));
        let told = Arc::new(Count::default());
        input.watch(told.clone());
        assert_eq!((input.read(&mut [0; 10]), output.write(b"word")), (Err(Errno::EAGAIN), Ok(4)));
        input.news();
        assert_eq!(told.0.load(Ordering::Relaxed), 1);
    }
}
