//! Staying with a process until it ends: its terminal, the signals it should get, its exit status.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::process::{WaitOptions, WaitStatus, wait};
use rustix::stdio::{stdin, stdout};

use stockade_native::signals::{self, Signals};

use super::console::{self, RawTerminal};

/// Longer than a terminal keeps a byte back.
const DRAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What a foreground process needs before it is made: from then on no signal and no byte is lost.
#[derive(Debug)]
pub struct Foreground {
    signals: Signals,
    console: Option<UnixStream>,
}

impl Foreground {
    /// Signals queue up from here on. With a console, the terminal comes over the other end of the returned socket.
    pub fn prepare(terminal: bool) -> io::Result<(Self, Option<UnixStream>)> {
        let signals = Signals::block()?;
        if !terminal {
            return Ok((Self { signals, console: None }, None));
        }
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self { signals, console: Some(ours) }, Some(theirs)))
    }

    /// Proxies until `pid`, a child, ends; its exit status, or 128 + the signal that ended it.
    pub fn attend(self, pid: u32) -> io::Result<i32> {
        let master = self.console.as_ref().map(console::receive_master).transpose()?;
        let _raw = master.as_ref().and_then(|_| RawTerminal::enter());
        let mut relay = master.map(Relay::new).transpose()?;
        loop {
            if let Some(status) = self.handle_signals(pid, relay.as_ref())? {
                relay.iter_mut().for_each(Relay::drain);
                return Ok(status);
            }
            self.sleep(relay.as_mut())?;
        }
    }

    /// Forwards what has come in; the exit status once `pid` has ended.
    fn handle_signals(&self, pid: u32, relay: Option<&Relay>) -> io::Result<Option<i32>> {
        while let Some(signal) = self.signals.next()? {
            match (signal, relay) {
                (libc::SIGCHLD, _) => {
                    if let Some(status) = reap(pid)? {
                        return Ok(Some(status));
                    }
                }
                (libc::SIGWINCH, Some(relay)) => console::copy_size(&relay.master),
                // Ours: SIGPIPE from a closed output, SIGURG from no one's socket.
                (libc::SIGPIPE | libc::SIGURG, _) => {}
                (signal, _) => signals::forward(pid, signal),
            }
        }
        Ok(None)
    }

    fn sleep(&self, relay: Option<&mut Relay>) -> io::Result<()> {
        match relay {
            Some(relay) => relay.step(self.signals.as_fd()),
            None => wait_for(&mut [PollFd::new(&self.signals, PollFlags::IN)]),
        }
    }
}

/// Reaps every child that has ended, orphans of the container included.
fn reap(pid: u32) -> io::Result<Option<i32>> {
    let mut status = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((child, ended))) if u32::try_from(child.as_raw_nonzero().get()) == Ok(pid) => {
                status = Some(shell_status(ended));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(status),
            Err(error) => return Err(error.into()),
        }
    }
}

fn shell_status(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// The most that a pipe takes without blocking once poll(2) calls it writable (PIPE_BUF, pipe(7)).
const OUTPUT_BYTES_MAX: usize = 4096;

/// Bytes between the caller's streams and the container's terminal. Neither direction waits for the other, nor keeps a
/// signal waiting: what one end does not take is kept, and no more is read for it meanwhile.
struct Relay {
    master: OwnedFd,
    input_open: bool,
    hung_up: bool,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// What [`Relay::step`] waits for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Master,
    Keyboard,
    Screen,
}

impl Relay {
    fn new(master: OwnedFd) -> io::Result<Self> {
        console::copy_size(&master);
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        Ok(Self { master, input_open: true, hung_up: false, input: Vec::new(), output: Vec::new() })
    }

    /// Waits for a byte, room for one, or a signal, and moves bytes.
    fn step(&mut self, signals: BorrowedFd<'_>) -> io::Result<()> {
        for (source, asked, ready) in self.wait(signals)? {
            match source {
                Source::Signals => {}
                Source::Keyboard => self.input_open = read_into(&mut self.input, stdin()),
                Source::Screen => self.show(),
                Source::Master => self.serve(asked, ready),
            }
        }
        Ok(())
    }

    fn wait(&self, signals: BorrowedFd<'_>) -> io::Result<Vec<(Source, PollFlags, PollFlags)>> {
        let (keyboard, screen) = (stdin(), stdout());
        let when = |wanted: bool, flags: PollFlags| if wanted { flags } else { PollFlags::empty() };
        let reads = when(self.output.is_empty(), PollFlags::IN) | when(!self.input.is_empty(), PollFlags::OUT);
        let sources = [
            (Source::Signals, signals, PollFlags::IN),
            (Source::Master, self.master.as_fd(), when(!self.hung_up, reads)),
            (Source::Keyboard, keyboard, when(self.input_open && self.input.is_empty(), PollFlags::IN)),
            (Source::Screen, screen, when(!self.output.is_empty(), PollFlags::OUT)),
        ];
        // poll(2) tells of a hang-up even where nothing is asked.
        let asked = sources.into_iter().filter(|(_, _, flags)| !flags.is_empty()).collect::<Vec<_>>();
        let mut fds: Vec<_> = asked.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        wait_for(&mut fds)?;
        let ready = asked.iter().zip(&fds).map(|((source, _, asked), fd)| (*source, *asked, fd.revents()));
        Ok(ready.filter(|(_, _, ready)| !ready.is_empty()).collect())
    }

    /// Moves bytes to and from the terminal. Once nobody holds its other side, only the exit status is left to come.
    fn serve(&mut self, asked: PollFlags, ready: PollFlags) {
        if asked.contains(PollFlags::OUT) {
            match write(&self.master, &self.input) {
                Ok(len) => drop(self.input.drain(..len)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => self.input.clear(),
            }
        }
        if ready.contains(PollFlags::IN) {
            read_into(&mut self.output, &self.master);
        } else if asked.contains(PollFlags::IN) && ready.intersects(PollFlags::HUP | PollFlags::ERR) {
            (self.hung_up, self.input_open) = (true, false);
        }
    }

    /// Writes what standard output takes at once; one that is closed takes nothing any more.
    fn show(&mut self) {
        match write(stdout(), &self.output[..self.output.len().min(OUTPUT_BYTES_MAX)]) {
            Ok(len) => drop(self.output.drain(..len)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.output.clear(),
        }
    }

    /// Moves what the process wrote before it ended. The kernel hands it over with a small delay, and then hangs up
    /// unless another process still holds the other side.
    fn drain(&mut self) {
        if write_all(stdout(), &self.output).is_err() {
            return;
        }
        loop {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&DRAIN)).is_ok_and(|ready| ready > 0);
            if !ready || !fds[0].revents().contains(PollFlags::IN) || !copy(&self.master, stdout()) {
                return;
            }
        }
    }
}

/// Reads one buffer; false at the end of the source.
fn read_into(buffer: &mut Vec<u8>, from: impl AsFd) -> bool {
    buffer.resize(16384, 0);
    let read = read(from, &mut buffer[..]);
    buffer.truncate(read.unwrap_or(0));
    !matches!(read, Ok(0)) && !matches!(read, Err(error) if error != Errno::INTR && error != Errno::AGAIN)
}

/// Moves one buffer; false at the end of the source or the sink.
fn copy(from: impl AsFd, to: impl AsFd) -> bool {
    let mut buffer = [0; 16384];
    match read(from, &mut buffer) {
        Ok(0) => false,
        Ok(len) => write_all(to, &buffer[..len]).is_ok(),
        Err(error) => error == Errno::INTR || error == Errno::AGAIN,
    }
}

fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(&mut [PollFd::new(&to, PollFlags::OUT)])?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for(fds: &mut [PollFd<'_>]) -> io::Result<()> {
    match poll(fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
