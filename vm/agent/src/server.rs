//! The agent's loop. It has one thread, because class native clones the calling process, and waits in one place.
//!
//! Invariant: whatever a container or the host does ends in an answer or a closed stream. A mistake of our own that
//! panics is caught and answered: the end of process 1 is the end of the machine.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use prost::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitOptions, WaitStatus, wait};
use stockade_native::Native;
use stockade_native::signals::Signals;
use stockade_sandbox::protocol::{Event, ExitStatus, Incoming, StreamId};
use stockade_sandbox::{Error, Result};

use crate::container::{Container, Question};
use crate::control::{Control, Lost};
use crate::lobby::Lobby;
use crate::request::Request;
use crate::shutdown::Ending;
use crate::world::World;

/// How long a process waits for streams that the host has announced.
const STREAM_PATIENCE: Duration = Duration::from_secs(10);
/// Requests that wait for their streams.
const EXPECTING_MAX: usize = 64;

/// A request whose streams have not all come.
struct Expecting {
    question: Question,
    request: Request,
    until: Instant,
}

/// All of the agent.
pub(crate) struct Server {
    pub world: World,
    pub native: Native,
    pub lobby: Lobby,
    pub containers: BTreeMap<String, Container>,
    pub(crate) ending: Option<Ending>,
    control: Control,
    signals: Signals,
    expecting: Vec<Expecting>,
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Signals,
    Control,
    Lobby,
    Streams,
    Oom,
}

impl Server {
    pub(crate) fn new(world: World, native: Native, lobby: Lobby, signals: Signals) -> Self {
        Self {
            world,
            native,
            lobby,
            containers: BTreeMap::new(),
            ending: None,
            control: Control::new(Instant::now()),
            signals,
            expecting: Vec::new(),
        }
    }

    /// Until the machine is to end.
    pub(crate) fn run(mut self) {
        while !self.is_over() {
            let ready = self.wait();
            if catch_unwind(AssertUnwindSafe(|| self.turn(&ready))).is_err() {
                self.world.say("a mistake of the agent's own: one turn of its loop is lost");
            }
        }
        self.answer_shutdown();
    }

    /// Waits for news, and says what there is.
    fn wait(&self) -> Vec<Source> {
        let interests = self.interests();
        let mut fds: Vec<PollFd<'_>> =
            interests.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let limit = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        // Interrupted, or out of memory: the next turn asks again.
        let _ = poll(&mut fds, limit.as_ref());
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let mut ready: Vec<Source> =
            interests.iter().zip(&fds).filter(|(_, fd)| is_ready(fd)).map(|((source, ..), _)| *source).collect();
        ready.dedup_by(|a, b| a == b);
        ready
    }

    fn interests(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut all = vec![(Source::Signals, self.signals.as_fd(), PollFlags::IN)];
        all.extend(self.control.interest().map(|(fd, flags)| (Source::Control, fd, flags)));
        all.extend(self.lobby.interests().map(|(fd, flags)| (Source::Lobby, fd.as_fd(), flags)));
        for container in self.containers.values() {
            let relays = container.processes.values().flat_map(|process| &process.streams.relays);
            let streams = relays.filter_map(|relay| relay.interest());
            all.extend(streams.map(|(fd, flags)| (Source::Streams, fd.as_fd(), flags)));
            let watch = container.oom.as_ref().and_then(|oom| oom.watch());
            all.extend(watch.map(|watch| (Source::Oom, watch.fd(), PollFlags::IN)));
        }
        all
    }

    fn deadline(&self) -> Option<Instant> {
        let processes = self.containers.values().flat_map(|container| container.processes.values());
        let ends = processes.filter_map(|process| process.deadline());
        let expecting = self.expecting.iter().map(|expecting| expecting.until);
        let others = [self.control.deadline(), self.lobby.deadline(), self.ending.as_ref().map(Ending::deadline)];
        ends.chain(expecting).chain(others.into_iter().flatten()).min()
    }

    fn turn(&mut self, ready: &[Source]) {
        let now = Instant::now();
        if ready.contains(&Source::Signals) {
            self.hear_signals(now);
        }
        self.lobby.turn(now);
        self.control.turn(&self.world, now);
        self.serve(now);
        self.serve_expecting(now);
        for container in self.containers.values_mut() {
            container.processes.values_mut().for_each(|process| process.streams.pump());
            if ready.contains(&Source::Oom) {
                container.oom.iter_mut().for_each(|oom| oom.news());
            }
        }
        self.settle(now);
        self.go_on_ending(now);
    }

    /// Signals that concern the machine; and children that ended, whoever made them.
    fn hear_signals(&mut self, now: Instant) {
        while let Ok(Some(signal)) = self.signals.next() {
            // Ctrl-Alt-Del, and what an operator would send.
            if [libc::SIGINT, libc::SIGTERM, libc::SIGPWR].contains(&signal) {
                self.begin_ending(None, Ending::GRACE, now);
            }
        }
        self.reap(now);
    }

    pub(crate) fn reap(&mut self, now: Instant) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            let status = raw(status);
            let _ = self.containers.values_mut().any(|container| container.reap(pid, status, now));
        }
    }

    fn serve(&mut self, now: Instant) {
        loop {
            match self.control.request() {
                Ok(Some(incoming)) => self.take(incoming, now),
                Ok(None) => return,
                Err(Lost) => return self.lose(now),
            }
        }
    }

    fn lose(&mut self, now: Instant) {
        self.control.lose(now);
        self.expecting.clear();
        self.containers.values_mut().for_each(Container::forget_waiting);
    }

    fn take(&mut self, incoming: Incoming, now: Instant) {
        let Incoming { stream: question, method, payload, .. } = incoming;
        match Request::parse(method, &payload) {
            Err(error) => self.respond(question, Err(error)),
            Ok(request) if !self.has_streams(&request) => self.expect(question, request, now),
            Ok(request) => self.act(question, request, now),
        }
    }

    fn has_streams(&mut self, request: &Request) -> bool {
        self.lobby.has_all(request.streams().iter().map(|stream: &StreamId| stream.id))
    }

    fn expect(&mut self, question: Question, request: Request, now: Instant) {
        if self.expecting.len() == EXPECTING_MAX {
            return self.respond(question, Err(Error::Other("too many processes wait for their streams".to_owned())));
        }
        self.expecting.push(Expecting { question, request, until: now + STREAM_PATIENCE });
    }

    fn serve_expecting(&mut self, now: Instant) {
        for Expecting { question, request, until } in std::mem::take(&mut self.expecting) {
            if self.has_streams(&request) {
                self.act(question, request, now);
            } else if until <= now {
                let missing = Error::Other("the host announced streams that did not come".to_owned());
                self.respond(question, Err(missing));
            } else {
                self.expecting.push(Expecting { question, request, until });
            }
        }
    }

    fn act(&mut self, question: Question, request: Request, now: Instant) {
        match catch_unwind(AssertUnwindSafe(|| self.answer(question, request, now))) {
            Ok(Some(answer)) => self.respond(question, answer),
            Ok(None) => {}
            Err(_) => self.respond(question, Err(Error::Other("a mistake of the agent's own".to_owned()))),
        }
    }

    /// Answers; who cannot be told has gone.
    pub(crate) fn respond(&mut self, question: Question, answer: Result<Vec<u8>>) {
        if self.control.respond(question, answer).is_err() {
            self.lose(Instant::now());
        }
    }

    /// Tells who waited for what has happened.
    pub(crate) fn settle(&mut self, now: Instant) {
        let mut told: Vec<(Question, Vec<u8>)> = Vec::new();
        for (id, container) in &mut self.containers {
            for (name, process) in &mut container.processes {
                let Some((wait_status, questions)) = process.settle(now) else { continue };
                if name.is_empty()
                    && let Err(error) = container.held.keep()
                {
                    self.world.say(&format!("{id}: {error}"));
                }
                told.extend(questions.into_iter().map(|one| (one, ExitStatus { wait_status }.encode_to_vec())));
            }
            if let Some(oom) = &mut container.oom {
                let (oom_kills, questions) = oom.settle();
                let event = || Event { id: id.clone(), oom_kills }.encode_to_vec();
                told.extend(questions.into_iter().map(|one| (one, event())));
            }
        }
        told.into_iter().for_each(|(question, answer)| self.respond(question, Ok(answer)));
    }
}

/// As wait(2) has it; whether there was a core dump is nobody's business outside.
fn raw(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code << 8,
        (None, Some(signal)) => signal,
        (None, None) => 0,
    }
}
