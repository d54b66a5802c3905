//! Copies between a stream of the host and a connection to the guest, in one direction or, for a terminal, in both.
//!
//! Neither side is ever waited for. The end of what one side says is passed on as the end of what the other hears; a
//! side that hears no more ends what is said to it.

use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::io::Errno;
use stockade_hosted::Stream;
use stockade_sandbox::protocol::FdRole;

use super::agent::ProcessName;

/// Bytes that are under way in one direction.
const BUFFER_BYTES: usize = 64 << 10;
/// How often a buffer is filled before others have their turn.
const ROUNDS: usize = 8;

/// What a side did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be more at once.
    More,
    /// Nothing until one side has news.
    Waits,
    /// All is said.
    Over,
}

/// One direction.
#[derive(Debug)]
struct Flow {
    buffer: Vec<u8>,
    sent: usize,
    /// The source has come to its end.
    ended: bool,
    over: bool,
    /// Bytes that were read and bytes that were written, together.
    moved: usize,
}

impl Flow {
    fn new() -> Self {
        Self { buffer: Vec::new(), sent: 0, ended: false, over: false, moved: 0 }
    }

    /// Copies what can be copied; true when there may be more at once.
    fn pump(&mut self, from: &Stream, to: &Stream) -> bool {
        for _ in 0..ROUNDS {
            if self.over || !self.send(to) || !self.fill(from) {
                return false;
            }
        }
        true
    }

    /// True when all is sent.
    fn send(&mut self, to: &Stream) -> bool {
        while self.sent < self.buffer.len() {
            match to.write(&self.buffer[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    self.moved = self.moved.wrapping_add(count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => {
                    self.over = true;
                    return false;
                }
            }
        }
        self.over = self.ended;
        !self.over
    }

    /// True when there is something to send, be it the end.
    fn fill(&mut self, from: &Stream) -> bool {
        self.buffer.resize(BUFFER_BYTES, 0);
        let read = from.read(&mut self.buffer);
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        self.sent = 0;
        match read {
            Ok(count) => {
                self.ended = count == 0;
                self.moved = self.moved.wrapping_add(count);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Err(_) => self.ended = true,
        }
        true
    }

    fn has_backlog(&self) -> bool {
        self.sent < self.buffer.len()
    }
}

/// Both sides, and what flows.
#[derive(Debug)]
pub(super) struct Relay {
    process: ProcessName,
    host: Stream,
    guest: Stream,
    /// The guest's connection again, to say that no more will come.
    socket: UnixStream,
    to_guest: Option<Flow>,
    to_host: Option<Flow>,
    /// When a byte of output last went anywhere.
    moved: Instant,
}

impl Relay {
    /// Between a process's stream of this role and a connection to the guest.
    pub(super) fn new(process: ProcessName, role: FdRole, host: OwnedFd, guest: UnixStream) -> std::io::Result<Self> {
        guest.set_nonblocking(true)?;
        let (reads, writes) = (role != FdRole::Stdin, matches!(role, FdRole::Stdin | FdRole::Terminal));
        Ok(Self {
            process,
            host: Stream::new(host),
            guest: Stream::new(guest.try_clone()?.into()),
            socket: guest,
            to_guest: writes.then(Flow::new),
            to_host: reads.then(Flow::new),
            moved: Instant::now(),
        })
    }

    /// Whose it is.
    pub(super) fn process(&self) -> &ProcessName {
        &self.process
    }

    /// The host's side, to wait for.
    pub(super) fn host(&self) -> BorrowedFd<'_> {
        self.host.as_fd()
    }

    /// The guest's side, to wait for.
    pub(super) fn guest(&self) -> BorrowedFd<'_> {
        self.guest.as_fd()
    }

    /// Whether it carries what a process says.
    pub(super) fn is_output(&self) -> bool {
        self.to_host.is_some()
    }

    /// Whether something waits for the host to take it.
    pub(super) fn has_backlog(&self) -> bool {
        self.to_host.as_ref().is_some_and(Flow::has_backlog)
    }

    /// When a byte of output last went anywhere.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// Copies what can be copied.
    pub(super) fn pump(&mut self) -> Progress {
        let mut more = false;
        if let Some(flow) = self.to_host.as_mut().filter(|flow| !flow.over) {
            let before = flow.moved;
            more |= flow.pump(&self.guest, &self.host);
            if flow.moved != before {
                self.moved = Instant::now();
            }
        }
        if let Some(flow) = self.to_guest.as_mut().filter(|flow| !flow.over) {
            more |= flow.pump(&self.host, &self.guest);
            if flow.over {
                // Fails only where the guest has gone already.
                let _ = self.socket.shutdown(Shutdown::Write);
            }
        }
        match (self.is_over(), more) {
            (true, _) => Progress::Over,
            (false, true) => Progress::More,
            (false, false) => Progress::Waits,
        }
    }

    /// Output is over with its flow. Input is over when the guest has closed: it may still read what was sent.
    fn is_over(&self) -> bool {
        match &self.to_host {
            Some(flow) => flow.over,
            None => self.guest.readiness().hang_up,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Duration;

    use super::*;

    fn relay(role: FdRole, host: impl Into<OwnedFd>) -> (Relay, UnixStream) {
        let (ours, guest) = UnixStream::pair().expect("a pair");
        let process = ("web".to_owned(), String::new());
        (Relay::new(process, role, host.into(), ours).expect("a relay"), guest)
    }

    #[test]
    fn what_a_process_says_arrives_to_its_end() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (mut relay, mut guest) = relay(FdRole::Stdout, writer);
        assert_eq!(relay.pump(), Progress::Waits);
        guest.write_all(b"hello").expect("said");
        assert_eq!(relay.pump(), Progress::Waits);
        drop(guest);
        assert_eq!(relay.pump(), Progress::Over);
        drop(relay);
        let mut heard = String::new();
        reader.read_to_string(&mut heard).expect("heard");
        assert_eq!(heard, "hello");
    }

    #[test]
    fn the_end_of_input_is_half_a_close() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let (mut relay, mut guest) = relay(FdRole::Stdin, reader);
        writer.write_all(b"question").expect("asked");
        drop(writer);
        assert_eq!(relay.pump(), Progress::Waits);
        let mut heard = String::new();
        guest.read_to_string(&mut heard).expect("heard");
        assert_eq!(heard, "question");
        drop(guest);
        assert_eq!(relay.pump(), Progress::Over);
    }

    #[test]
    fn a_file_is_read_without_news() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&vec![7; 3 << 20]).expect("written");
        std::io::Seek::rewind(&mut file).expect("rewound");
        let (mut relay, mut guest) = relay(FdRole::Stdin, file);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            guest.read_to_end(&mut all).expect("heard");
            all.len()
        });
        while relay.pump() != Progress::Over {
            std::thread::yield_now();
        }
        assert_eq!(reader.join().expect("no panic"), 3 << 20);
    }

    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let (mut relay, mut guest) = relay(FdRole::Stdout, writer);
        guest.set_nonblocking(true).expect("non-blocking");
        while guest.write(&[0; 10_000]).is_ok() || relay.pump() == Progress::More {}
        assert!(relay.has_backlog());
        drop(reader);
        // Between fork and exec, a child of another test has the reader, too.
        let is_over = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            relay.pump() == Progress::Over
        });
        assert!(is_over);
    }

    #[test]
    fn a_terminal_goes_both_ways() {
        let (mut caller, slave) = UnixStream::pair().expect("a pair");
        let (mut relay, mut guest) = relay(FdRole::Terminal, slave);
        caller.write_all(b"ls\n").expect("typed");
        guest.write_all(b"# ").expect("prompted");
        assert_eq!(relay.pump(), Progress::Waits);
        let (mut typed, mut shown) = ([0; 3], [0; 2]);
        guest.read_exact(&mut typed).expect("heard");
        caller.read_exact(&mut shown).expect("seen");
        assert_eq!((&typed, &shown), (b"ls\n", b"# "));
    }
}
