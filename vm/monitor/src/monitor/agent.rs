//! The control connection: questions to the guest's agent, and who waits for the answers.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use stockade_sandbox::Error;
use stockade_sandbox::protocol::{Connection, Method, ProtocolError};

/// Names a process of the sandbox: its container, and its own name (an init has none).
pub(super) type ProcessName = (String, String);

/// How long an agent may take to take a message.
const TAKE_PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// How long it may take to answer what does not wait for anything.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);
/// Questions that are open at a time.
const OPEN_MAX: usize = 4096;

/// Who gets an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A process of the host.
    Peer {
        /// Its connection.
        source: u64,
        /// Its own number for the question.
        stream: u32,
    },
    /// The monitor itself.
    Monitor,
}

/// An open question.
#[derive(Debug)]
pub(super) struct Question {
    pub asker: Asker,
    pub method: Method,
    pub process: ProcessName,
    deadline: Option<Instant>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answered {
    pub question: Question,
    pub result: Result<Vec<u8>, Error>,
}

/// The agent, or the wait for it.
#[derive(Debug, Default)]
pub(super) struct Agent {
    connection: Option<Connection>,
    /// Why no message can be sent any more: one was cut.
    broken: Option<ProtocolError>,
    open: BTreeMap<u32, Question>,
    next: u32,
}

impl Agent {
    /// The connection that the guest made. False when there is one already.
    pub(super) fn connect(&mut self, stream: UnixStream) -> std::io::Result<bool> {
        if self.connection.is_some() {
            return Ok(false);
        }
        stream.set_nonblocking(true)?;
        self.connection = Some(Connection::new(stream.into()).with_patience(TAKE_PATIENCE));
        Ok(true)
    }

    /// To wait for.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.connection.as_ref().map(AsFd::as_fd)
    }

    /// Asks.
    pub(super) fn ask(
        &mut self,
        asker: Asker,
        method: Method,
        process: ProcessName,
        payload: Vec<u8>,
    ) -> Result<(), Error> {
        let connection = self.connection.as_ref().ok_or(Error::NotRunning)?;
        if self.open.len() >= OPEN_MAX {
            return Err(Error::Other("too many questions to the guest are open".to_owned()));
        }
        // ttrpc: clients use odd streams.
        let stream = self.next | 1;
        if let Err(error) = connection.ask(stream, method, payload, &[]) {
            let said = Error::Other(format!("ask the guest's agent: {error}"));
            self.broken = Some(error);
            return Err(said);
        }
        self.next = stream.wrapping_add(2);
        let deadline = (!waits(method)).then(|| Instant::now() + ANSWER_PATIENCE);
        self.open.insert(stream, Question { asker, method, process, deadline });
        Ok(())
    }

    /// The next answer to a question of ours, if it has arrived.
    pub(super) fn answer(&mut self) -> Result<Option<Answered>, ProtocolError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let Some(answer) = connection.answer()? else { return Ok(None) };
        match self.open.remove(&answer.stream) {
            Some(question) => Ok(Some(Answered { question, result: answer.result })),
            None => Err(ProtocolError::Malformed("an answer to no question")),
        }
    }

    /// Open questions of a peer that is gone; their answers will be nobody's.
    pub(super) fn forget(&mut self, source: u64) -> Vec<(Method, ProcessName)> {
        let of_it =
            |question: &&mut Question| matches!(question.asker, Asker::Peer { source: its, .. } if its == source);
        let gone = self.open.values_mut().filter(of_it).map(|question| {
            question.asker = Asker::Monitor;
            (question.method, question.process.clone())
        });
        gone.collect()
    }

    /// Who waits for what the agent should have answered by now; the answer, should it come, is nobody's.
    pub(super) fn overdue(&mut self) -> Vec<Asker> {
        let now = Instant::now();
        let late = self.open.values_mut().filter(|question| question.deadline.is_some_and(|deadline| deadline < now));
        late.map(|question| {
            question.deadline = None;
            std::mem::replace(&mut question.asker, Asker::Monitor)
        })
        .collect()
    }

    /// Gives the agent, which stood still, the time again that it had.
    pub(super) fn postpone(&mut self) {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        self.open.values_mut().filter_map(|question| question.deadline.as_mut()).for_each(|its| *its = deadline);
    }

    /// Whether a message was cut, so that the next could not be understood.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether an answer has a deadline.
    pub(super) fn is_awaited(&self) -> bool {
        self.open.values().any(|question| question.deadline.is_some())
    }

    /// Whether a peer waits for the end of a process.
    pub(super) fn has_waiters(&self) -> bool {
        self.open.values().any(|question| question.method == Method::Wait && question.asker != Asker::Monitor)
    }

    /// All peers that wait for something.
    pub(super) fn askers(&self) -> Vec<(Method, Asker)> {
        self.open.values().map(|question| (question.method, question.asker)).collect()
    }
}

/// Whether an answer comes when something happened, whenever that is.
fn waits(method: Method) -> bool {
    matches!(method, Method::Wait | Method::WaitOom)
}
