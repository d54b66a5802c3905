//! Staying with a process until it ends: its terminal, the signals it should get, its exit status.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use rustix::process::{WaitOptions, WaitStatus, wait};
use rustix::stdio::{stdin, stdout};

use super::console::{self, RawTerminal};
use super::signals::{self, Signals};

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
        let mut relay = master.map(Relay::new);
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

/// Bytes between the caller's streams and the container's terminal.
struct Relay {
    master: OwnedFd,
    input_open: bool,
}

impl Relay {
    fn new(master: OwnedFd) -> Self {
        console::copy_size(&master);
        Self { master, input_open: true }
    }

    /// Waits for a byte or a signal, and moves bytes.
    fn step(&mut self, signals: BorrowedFd<'_>) -> io::Result<()> {
        let keyboard = stdin();
        let mut fds = vec![PollFd::from_borrowed_fd(signals, PollFlags::IN), PollFd::new(&self.master, PollFlags::IN)];
        if self.input_open {
            fds.push(PollFd::new(&keyboard, PollFlags::IN));
        }
        wait_for(&mut fds)?;
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        if ready.get(2).is_some_and(|flags| !flags.is_empty()) {
            self.input_open = copy(stdin(), &self.master);
        }
        if ready[1].contains(PollFlags::IN) {
            copy(&self.master, stdout());
        } else if !ready[1].is_empty() {
            // Nobody holds the other side; only the exit status is left to wait for.
            wait_for(&mut [PollFd::from_borrowed_fd(signals, PollFlags::IN)])?;
        }
        Ok(())
    }

    /// Moves what the process wrote before it ended. The kernel hands it over with a small delay, and then hangs up
    /// unless another process still holds the other side.
    fn drain(&mut self) {
        loop {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&DRAIN)).is_ok_and(|ready| ready > 0);
            if !ready || !fds[0].revents().contains(PollFlags::IN) || !copy(&self.master, stdout()) {
                return;
            }
        }
    }
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
