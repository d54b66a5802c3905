//! Streams of the host: a container's standard streams, and its terminal.
//!
//! None of them may ever make a monitor wait: whoever is slow to read what a container says would stop all of its
//! kernel. Pipes and terminals come as open files of their own that do not block ([`crate::Luggage`]). Where that
//! cannot be, the file description is shared with processes of the host and stays as it is: each read and write asks
//! poll(2) first, and since a pipe that is ready for writing takes PIPE_BUF bytes without blocking (pipe(7)), only one
//! of them is under way at a time.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmsg};

/// PIPE_BUF
const ATOMIC_BYTES: usize = 4096;

/// Held from the question whether there is room to the write, by those who need to ask: two streams may be one pipe.
static ASKING: Mutex<()> = Mutex::new(());

/// What keeps a stream's reads and writes from waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Nothing has to: a regular file.
    File,
    /// Its open file (O_NONBLOCK).
    OpenFile,
    /// Each call: a socket.
    Call,
    /// A question before each call.
    Question,
}

impl Patience {
    fn of(descriptor: &OwnedFd) -> Self {
        match fstat(descriptor).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) => Self::File,
            Ok(FileType::Socket) => Self::Call,
            _ if fcntl_getfl(descriptor).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK)) => Self::OpenFile,
            _ => Self::Question,
        }
    }
}

/// What a stream can do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// A read finds data, or the end.
    pub readable: bool,
    /// A write finds room, or nobody.
    pub writable: bool,
    /// The other end is gone.
    pub hang_up: bool,
}

/// A stream of the host.
#[derive(Debug)]
pub struct Stream {
    descriptor: OwnedFd,
    patience: Patience,
}

impl Stream {
    /// Reads and writes by what the descriptor is.
    pub fn new(descriptor: OwnedFd) -> Self {
        let patience = Patience::of(&descriptor);
        Self { descriptor, patience }
    }

    /// As much as is there; [`Errno::AGAIN`] when that is nothing, 0 at the end.
    pub fn read(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        let read = match self.patience {
            Patience::File | Patience::OpenFile => rustix::io::read(&self.descriptor, buffer),
            Patience::Call => receive(&self.descriptor, buffer),
            Patience::Question => self.read_asking(buffer),
        };
        match read {
            // A terminal whose other end is closed.
            Err(Errno::IO) => Ok(0),
            result => result,
        }
    }

    /// As much as there is room for; [`Errno::AGAIN`] when that is none.
    pub fn write(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        match self.patience {
            Patience::File | Patience::OpenFile => rustix::io::write(&self.descriptor, bytes),
            Patience::Call => send(&self.descriptor, bytes),
            Patience::Question => self.write_asking(bytes),
        }
    }

    /// What it can do now.
    pub fn readiness(&self) -> Readiness {
        if self.patience == Patience::File {
            return Readiness { readable: true, writable: true, hang_up: false };
        }
        let events = self.events();
        Readiness {
            readable: events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
            writable: events.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP),
            hang_up: events.intersects(PollFlags::HUP | PollFlags::ERR),
        }
    }

    fn events(&self) -> PollFlags {
        let mut fds = [PollFd::new(&self.descriptor, PollFlags::IN | PollFlags::OUT)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) => fds[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }

    /// As much as goes without waiting.
    fn write_asking(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        let _asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while done < bytes.len() && self.readiness().writable {
            let end = bytes.len().min(done + ATOMIC_BYTES);
            match rustix::io::write(&self.descriptor, &bytes[done..end]) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        if done == 0 && !bytes.is_empty() { Err(Errno::AGAIN) } else { Ok(done) }
    }

    fn read_asking(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        let _asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        if self.readiness().readable { rustix::io::read(&self.descriptor, buffer) } else { Err(Errno::AGAIN) }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let mut buffers = [IoSliceMut::new(buffer)];
    let received = recvmsg(socket, &mut buffers, &mut RecvAncillaryBuffer::default(), RecvFlags::DONTWAIT)?;
    Ok(received.bytes)
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut SendAncillaryBuffer::default(), flags)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    #[test]
    fn streams_never_block() {
        let (read, write) = rustix::pipe::pipe().expect("make a pipe");
        let (input, output) = (Stream::new(read), Stream::new(write));
        assert_eq!(input.read(&mut [0; 10]), Err(Errno::AGAIN));
        assert!(!input.readiness().readable && output.readiness().writable);
        assert_eq!(output.write(b"some words"), Ok(10));
        let mut bytes = [0; 20];
        assert_eq!((input.read(&mut bytes), &bytes[..10]), (Ok(10), &b"some words"[..]));
        while output.write(&[0; 100_000]).is_ok() {}
        assert_eq!(output.write(&[0]), Err(Errno::AGAIN));
        drop(input);
        assert_eq!((output.write(&[0]), output.readiness().hang_up), (Err(Errno::PIPE), true));
    }

    /// Two streams of one pipe, in two threads, while nobody reads: neither waits, however it is opened.
    #[test]
    fn two_writers_of_a_full_pipe_do_not_wait() {
        let (_read, write) = rustix::pipe::pipe().expect("make a pipe");
        let own = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", write.as_raw_fd());
        let own = rustix::fs::open(path, own, rustix::fs::Mode::empty()).expect("open it again");
        let streams = [write.try_clone().expect("copy it"), own, write].map(Stream::new);
        assert_eq!(streams.each_ref().map(|stream| stream.patience == Patience::OpenFile), [false, true, false]);
        std::thread::scope(|scope| {
            for stream in &streams {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let _full = stream.write(&[0; 5000]);
                    }
                });
            }
        });
        assert_eq!(streams.map(|stream| stream.write(&[0; 5000])), [Err(Errno::AGAIN); 3]);
    }

    #[test]
    fn a_full_socket_does_not_wait() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("make a socket");
        let stream = Stream::new(ours.into());
        assert_eq!(stream.read(&mut [0; 10]), Err(Errno::AGAIN));
        while stream.write(&[0; 10_000]).is_ok() {}
        assert_eq!(stream.write(&[0]), Err(Errno::AGAIN));
        drop(theirs);
        assert_eq!(stream.write(&[0]), Err(Errno::PIPE));
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
