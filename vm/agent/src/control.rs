//! The connection to the host: the agent makes it, then serves on it, and makes it again when it is lost.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFlags, Timespec};
use rustix::net::sockopt::socket_error;
use stockade_sandbox::Result;
use stockade_sandbox::protocol::{Connection, Incoming};

use crate::world::World;

/// The first pause before another try; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// How long the host may take to take an answer.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// How far the connection is.
#[derive(Debug)]
enum State {
    Down { again: Instant },
    Connecting(OwnedFd),
    Up(Connection),
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Control {
    state: State,
    pause: Duration,
}

impl Control {
    /// One that is yet to be made.
    pub(crate) fn new(now: Instant) -> Self {
        Self { state: State::Down { again: now }, pause: FIRST_PAUSE }
    }

    /// What to wait for.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.state {
            State::Down { .. } => None,
            State::Connecting(socket) => Some((socket.as_fd(), PollFlags::OUT)),
            State::Up(connection) => Some((connection.as_fd(), PollFlags::IN)),
        }
    }

    /// When to try again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Down { again } => Some(again),
            _ => None,
        }
    }

    /// Goes on with making the connection.
    pub(crate) fn turn(&mut self, world: &World, now: Instant) {
        match &self.state {
            State::Down { again } if *again <= now => match world.dial() {
                Ok(socket) => self.state = State::Connecting(socket),
                Err(_) => self.lose(now),
            },
            State::Connecting(socket) => match is_connected(socket) {
                None => {}
                Some(false) => self.lose(now),
                Some(true) => self.rise(now),
            },
            _ => {}
        }
    }

    fn rise(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.state, State::Down { again: now });
        if let State::Connecting(socket) = before {
            self.state = State::Up(Connection::new(socket).with_patience(PATIENCE));
            self.pause = FIRST_PAUSE;
        }
    }

    /// Gives the connection up, to make another one after a while.
    pub(crate) fn lose(&mut self, now: Instant) {
        self.state = State::Down { again: now + self.pause };
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    /// The next request that has arrived. [`Lost`] when the host left, or talks nonsense.
    pub(crate) fn request(&mut self) -> std::result::Result<Option<Incoming>, Lost> {
        match &mut self.state {
            State::Up(connection) => connection.request().map_err(|_| Lost),
            _ => Ok(None),
        }
    }

    /// Answers. A connection that is down has nobody who asked.
    pub(crate) fn respond(&self, question: u32, answer: Result<Vec<u8>>) -> std::result::Result<(), Lost> {
        match &self.state {
            State::Up(connection) => connection.respond(question, answer).map_err(|_| Lost),
            _ => Ok(()),
        }
    }
}

/// The connection is of no use any more.
#[derive(Debug)]
pub(crate) struct Lost;

/// `None` when it is not decided yet.
fn is_connected(socket: &OwnedFd) -> Option<bool> {
    let mut fds = [rustix::event::PollFd::new(socket, PollFlags::OUT)];
    match rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(0) => None,
        Ok(_) => {
            let failed = fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
            Some(!failed && matches!(socket_error(socket), Ok(Ok(()))))
        }
        Err(_) => Some(false),
    }
}
