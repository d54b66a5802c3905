//! Bytes on their way between a process of a container and the host.
//!
//! A process has pipes, or a terminal, as under any other runtime: it may open /dev/stdout again, which a socket
//! forbids. Each [`Relay`] moves one direction and never waits: what one end gives is taken only once the other end
//! took what came before.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

/// Bytes under way in one direction: a pipe's size.
const BUFFER_BYTES: usize = 64 * 1024;
/// Buffers moved before others have their turn.
const ROUNDS_MAX: usize = 8;

/// What happens at the end of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From the host to a pipe: that is closed.
    Input,
    /// From a pipe or a terminal to the host: the stream's half is closed.
    Output,
    /// From the host to a terminal: that is hung up.
    Typing,
}

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Flowing,
    /// The source ended; what came from it is still to be delivered.
    Draining,
    /// The host's end is lost, not closed: the machine went on elsewhere. An output goes nowhere.
    Lost,
    Over,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Relay {
    kind: Kind,
    /// `None` once it is over: a pipe is seen to be closed only when nobody has it open.
    ends: Option<(Rc<OwnedFd>, Rc<OwnedFd>)>,
    buffer: Vec<u8>,
    sent: usize,
    stage: Stage,
}

impl Relay {
    /// Moves bytes from one to the other. Neither may block.
    pub(crate) fn new(kind: Kind, from: Rc<OwnedFd>, to: Rc<OwnedFd>) -> Self {
        Self { kind, ends: Some((from, to)), buffer: Vec::new(), sent: 0, stage: Stage::Flowing }
    }

    /// Whether nothing will come through any more.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether it carries what a process says.
    pub(crate) fn is_output(&self) -> bool {
        self.kind == Kind::Output
    }

    /// What to wait for.
    pub(crate) fn interest(&self) -> Option<(&OwnedFd, PollFlags)> {
        let (from, to) = self.ends.as_ref()?;
        match self.stage {
            Stage::Over => None,
            Stage::Lost if self.kind != Kind::Output => None,
            _ if self.is_empty() => Some((from, PollFlags::IN)),
            _ => Some((to, PollFlags::OUT)),
        }
    }

    /// Moves what can be moved. True when it has just ended as a hang-up of the terminal.
    pub(crate) fn pump(&mut self) -> bool {
        for _ in 0..ROUNDS_MAX {
            if !(self.fill() && self.drain()) {
                break;
            }
        }
        if self.stage == Stage::Draining && self.is_empty() {
            self.finish();
            return self.kind == Kind::Typing;
        }
        false
    }

    fn is_empty(&self) -> bool {
        self.sent == self.buffer.len()
    }

    /// False when there is nothing to deliver.
    fn fill(&mut self) -> bool {
        if !self.is_empty() {
            return true;
        }
        let Some((from, _)) = self.ends.as_ref().filter(|_| matches!(self.stage, Stage::Flowing | Stage::Lost)) else {
            return false;
        };
        self.buffer.resize(BUFFER_BYTES, 0);
        let read = rustix::io::read(from.as_fd(), &mut self.buffer[..]);
        self.sent = 0;
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.stage = Stage::Draining,
            Ok(_) if self.stage == Stage::Lost => self.buffer.clear(),
            Ok(_) => return true,
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A terminal that nobody has open.
            Err(Errno::IO) => self.stage = Stage::Draining,
            Err(_) if self.kind == Kind::Output => self.stage = Stage::Draining,
            Err(_) => self.stage = Stage::Lost,
        }
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        // What was thrown away may be followed by more.
        self.stage == Stage::Lost && self.kind == Kind::Output && read.is_ok()
    }

    /// False when the other end has no room.
    fn drain(&mut self) -> bool {
        while !self.is_empty() {
            let Some((_, to)) = &self.ends else { return false };
            match rustix::io::write(to.as_fd(), &self.buffer[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(errno) => {
                    self.lose(errno);
                    return false;
                }
            }
        }
        true
    }

    fn lose(&mut self, errno: Errno) {
        (self.buffer, self.sent) = (Vec::new(), 0);
        if errno == Errno::PIPE || self.kind != Kind::Output {
            // Whoever was to read has gone: the other side shall see that.
            self.ends = None;
            self.stage = Stage::Over;
        } else {
            self.stage = Stage::Lost;
        }
    }

    fn finish(&mut self) {
        if let (Kind::Output, Some((_, to))) = (self.kind, &self.ends) {
            let _ = shutdown(to.as_fd(), Shutdown::Write);
        }
        self.ends = None;
        self.buffer = Vec::new();
        self.sent = 0;
        self.stage = Stage::Over;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn socket() -> (Rc<OwnedFd>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("make a socket");
        ours.set_nonblocking(true).expect("set it up");
        (Rc::new(ours.into()), theirs)
    }

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("make a pipe")
    }

    #[test]
    fn an_output_arrives_whole_and_ends() {
        let (read, write) = pipe();
        let (ours, mut theirs) = socket();
        let mut relay = Relay::new(Kind::Output, Rc::new(read), ours);
        assert_eq!(rustix::io::write(&write, b"words"), Ok(5));
        assert!(!relay.pump() && !relay.is_over());
        drop(write);
        relay.pump();
        assert!(relay.is_over());
        let mut text = String::new();
        theirs.read_to_string(&mut text).expect("read to the end");
        assert_eq!(text, "words");
    }

    #[test]
    fn an_input_s_end_closes_the_pipe() {
        let (read, write) = pipe();
        let (ours, mut theirs) = socket();
        let mut relay = Relay::new(Kind::Input, ours, Rc::new(write));
        theirs.write_all(b"words").expect("write");
        theirs.shutdown(std::net::Shutdown::Write).expect("half-close");
        relay.pump();
        let mut bytes = [0; 16];
        assert_eq!((rustix::io::read(&read, &mut bytes), &bytes[..5]), (Ok(5), &b"words"[..]));
        assert_eq!((rustix::io::read(&read, &mut bytes), relay.is_over()), (Ok(0), true));
    }

    /// A stream much larger than all buffers, with a reader who is slow.
    #[test]
    fn a_slow_reader_loses_nothing() {
        let (read, write) = pipe();
        let (ours, mut theirs) = socket();
        let mut relay = Relay::new(Kind::Output, Rc::new(read), ours);
        theirs.set_nonblocking(true).expect("set it up");
        let all: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let (mut given, mut taken, mut write) = (0, Vec::new(), Some(write));
        while !relay.is_over() {
            match &write {
                Some(end) if given < all.len() => given += rustix::io::write(end, &all[given..]).unwrap_or_default(),
                _ => write = None,
            }
            relay.pump();
            let mut bytes = [0; 10_000];
            let count = theirs.read(&mut bytes).unwrap_or_default();
            taken.extend_from_slice(&bytes[..count]);
        }
        theirs.set_nonblocking(false).expect("set it up");
        theirs.read_to_end(&mut taken).expect("read the rest");
        assert!(taken == all, "{} of {} bytes", taken.len(), all.len());
    }

    #[test]
    fn a_reader_who_left_ends_the_writer() {
        let (read, write) = pipe();
        let (ours, theirs) = socket();
        let mut relay = Relay::new(Kind::Output, Rc::new(read), ours);
        drop(theirs);
        assert_eq!(rustix::io::write(&write, b"words"), Ok(5));
        relay.pump();
        assert!(relay.is_over());
        assert_eq!(rustix::io::write(&write, b"words"), Err(Errno::PIPE));
    }

    #[test]
    fn the_host_s_end_hangs_a_terminal_up() {
        let (_read, write) = pipe();
        let (ours, theirs) = socket();
        let mut relay = Relay::new(Kind::Typing, ours, Rc::new(write));
        assert!(!relay.pump());
        drop(theirs);
        assert!(relay.pump());
    }

    /// As the kernel answers for a vsock whose machine was restored elsewhere: not EPIPE.
    #[test]
    fn a_lost_host_stops_nobody() {
        let (read, write) = pipe();
        // A socket that was never connected: ENOTCONN.
        let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None);
        let mut relay = Relay::new(Kind::Output, Rc::new(read), Rc::new(socket.expect("a socket")));
        for _ in 0..100 {
            assert_eq!(rustix::io::write(&write, &[7; 4096]), Ok(4096));
            relay.pump();
            assert!(!relay.is_over());
        }
    }
}
