//! The session's loop.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::detach::Scanner;
use super::signals::{CallerTerminal, Signals, end_by};
use super::terminal::{RawMode, own_window};
use super::{DetachKeys, Outcome, Session, SessionError, SignalProxy, Target};
use crate::logs::LogStream;
use crate::options::Signal;
use crate::supervise::protocol::{DATA_BYTES_MAX, MESSAGE_BYTES_MAX, Reply, Request, Role, receive, try_send};

/// Runs a session to its end.
pub(super) fn run(session: &Session<'_>, keys: &DetachKeys, proxy: SignalProxy) -> Result<Outcome, SessionError> {
    let reads_input = session.role == Role::InputOutput;
    // Docker does not send signals on to an exec'd process.
    let proxy = if session.target == Target::Init { proxy } else { SignalProxy::Off };
    let keys = if session.tty { keys.bytes() } else { &[] };
    let mut pump =
        Proxy { session, proxy, scanner: Scanner::new(keys), pending: VecDeque::new(), input_open: reads_input };
    let raw = if session.tty && reads_input { RawMode::enter() } else { None };
    let terminal = if raw.is_some() { CallerTerminal::Raw } else { CallerTerminal::Untouched };
    let signals = Signals::watch(proxy, terminal).map_err(failed("watch signals"))?;
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let ready = pump.wait(&signals)?;
        match pump.step(ready, &signals, &mut buffer)? {
            Some(Step::Done(outcome)) => return Ok(outcome),
            Some(Step::EndedBy(signal)) => {
                drop(raw);
                end_by(signal);
                return Ok(Outcome::Detached);
            }
            None => {}
        }
    }
}

/// What ends a session.
enum Step {
    /// It ran its course.
    Done(Outcome),
    /// A signal that is not sent on ends the caller.
    EndedBy(Signal),
}

/// What became ready.
#[derive(Clone, Copy)]
struct Ready {
    input: bool,
    socket: PollFlags,
    signals: bool,
}

/// A session under way. What the socket has no room for waits here, and no more input is read meanwhile: the far end
/// may be waiting for us to take output.
struct Proxy<'s> {
    session: &'s Session<'s>,
    proxy: SignalProxy,
    scanner: Scanner<'s>,
    pending: VecDeque<Vec<u8>>,
    input_open: bool,
}

impl Proxy<'_> {
    /// Blocks until something is ready.
    fn wait(&self, signals: &Signals) -> Result<Ready, SessionError> {
        let reading = self.input_open && self.pending.is_empty();
        let writing = if self.pending.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let mut fds = vec![PollFd::new(&self.session.socket, PollFlags::IN | writing)];
        fds.push(PollFd::new(signals.descriptor(), PollFlags::IN));
        if reading {
            fds.push(PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed("poll")(error)),
        }
        let input = reading && fds.pop().is_some_and(|fd| !fd.revents().is_empty());
        let signals = !fds[1].revents().is_empty();
        Ok(Ready { input, socket: fds[0].revents(), signals })
    }

    /// Does what is due.
    fn step(&mut self, ready: Ready, signals: &Signals, buffer: &mut [u8]) -> Result<Option<Step>, SessionError> {
        if ready.signals
            && let Some(signal) = self.pass_signals(signals)
        {
            return Ok(Some(Step::EndedBy(signal)));
        }
        if ready.socket.contains(PollFlags::OUT) {
            self.flush();
        }
        if ready.socket.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
            && let Some(outcome) = self.take_reply(buffer)?
        {
            return Ok(Some(Step::Done(outcome)));
        }
        let outcome = if ready.input { self.read_input(buffer)? } else { None };
        Ok(outcome.map(Step::Done))
    }

    /// Sends signals on, or returns the one that ends the caller; a changed window goes to the terminal.
    fn pass_signals(&mut self, signals: &Signals) -> Option<Signal> {
        for signal in signals.take() {
            if signal.number() == libc::SIGWINCH {
                if let Some(size) = own_window() {
                    self.queue(&Request::Resize(size));
                }
            } else if self.proxy == SignalProxy::Off {
                return Some(signal);
            } else if let Ok(record) = self.session.container.record() {
                let _ = self.session.engine.send_signal(&self.session.container, &record, signal);
            }
        }
        None
    }

    /// Takes one message from the supervisor.
    fn take_reply(&mut self, buffer: &mut [u8]) -> Result<Option<Outcome>, SessionError> {
        let length = match receive(&self.session.socket, buffer, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => return Ok(None),
            Ok(length) => length,
            Err(error) => return Err(failed("receive from the supervisor")(error)),
        };
        match Reply::decode(&buffer[..length]) {
            Some(Reply::Output(LogStream::Stdout, data)) => write_all(rustix::stdio::stdout(), data)?,
            Some(Reply::Output(LogStream::Stderr, data)) => write_all(rustix::stdio::stderr(), data)?,
            Some(Reply::Exited(code)) => return Ok(Some(Outcome::Exited(code))),
            Some(Reply::Failed(code, _)) => return Ok(Some(Outcome::Exited(code.into()))),
            Some(Reply::Started) => {}
            None => return self.supervisor_lost().map(Some),
        }
        Ok(None)
    }

    /// The supervisor died. Repair tells what became of the container.
    fn supervisor_lost(&self) -> Result<Outcome, SessionError> {
        let session = self.session;
        if session.target == Target::Exec {
            return Err(SessionError::SupervisorLost);
        }
        match session.engine.peek(&session.container) {
            Ok(state) if !state.is_live() => Ok(Outcome::Exited(state.exit_code)),
            _ => Err(SessionError::SupervisorLost),
        }
    }

    /// Passes on what the caller types.
    fn read_input(&mut self, buffer: &mut [u8]) -> Result<Option<Outcome>, SessionError> {
        match rustix::io::read(rustix::stdio::stdin(), &mut buffer[..DATA_BYTES_MAX]) {
            Ok(length) if length > 0 => {
                let (typed, detached) = self.scanner.feed(&buffer[..length]);
                if !typed.is_empty() {
                    self.queue(&Request::Input(&typed));
                }
                Ok(detached.then_some(Outcome::Detached))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            _ => {
                self.input_open = false;
                self.queue(&Request::InputEnd);
                Ok(None)
            }
        }
    }

    /// Sends a message, or keeps it until there is room.
    fn queue(&mut self, request: &Request<'_>) {
        let mut packet = Vec::new();
        request.encode(&mut packet);
        self.pending.push_back(packet);
        self.flush();
    }

    /// Sends what there is room for. A socket that is closed says so when it is read.
    fn flush(&mut self) {
        while let Some(packet) = self.pending.front() {
            match try_send(&self.session.socket, packet) {
                Err(Errno::AGAIN | Errno::INTR) => return,
                _ => drop(self.pending.pop_front()),
            }
        }
    }
}

/// Writes everything, also to a descriptor that does not block.
fn write_all(fd: BorrowedFd<'_>, mut data: &[u8]) -> Result<(), SessionError> {
    while !data.is_empty() {
        match rustix::io::write(fd, data) {
            Ok(written) => data = &data[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT)], None);
            }
            Err(error) => return Err(failed("write output")(error)),
        }
    }
    Ok(())
}

/// For `map_err`: names what was tried.
fn failed<E: Into<std::io::Error>>(verb: &'static str) -> impl FnOnce(E) -> SessionError {
    move |source| SessionError::Io { verb, source: source.into() }
}
