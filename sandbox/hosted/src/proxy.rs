//! The proxy of one process of a container: what callers see on the host.
//!
//! It waits for `start` (an init's only), then for the process's end, and ends with its status. Signals that it gets it
//! passes on. When the monitor is gone it ends as if the process had been killed.
//!
//! Its descriptors: 0 is a connection to the monitor, 1 an init's fifo, 2 the slave of the process's terminal.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use prost::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::tcgetwinsize;
use stockade_native::rest::{REST_AFTER, rest};
use stockade_native::signals::Signals;
use stockade_sandbox::protocol::{
    Answer, Connection, ContainerRequest, ExitStatus, Method, ProcessRequest, ProtocolError, Resize, SignalRequest,
};

/// The exit status of what was killed, or lost with its monitor: 128 + SIGKILL.
const KILLED: i32 = 137;
/// The stream of the one question whose answer matters.
const WAIT: u32 = 1;

/// Runs as a proxy of the named container and process; the exit status of that process.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let mut text = || arguments.next().and_then(|word| word.into_string().ok()).unwrap_or_default();
    let (id, process) = (text(), text());
    match Proxy::new(id, process).and_then(Proxy::run) {
        Ok(status) => exit_code(status),
        Err(Lost) => KILLED,
    }
}

/// The monitor is gone, or talks nonsense.
#[derive(Debug)]
struct Lost;

impl From<ProtocolError> for Lost {
    fn from(_: ProtocolError) -> Self {
        Self
    }
}

impl From<std::io::Error> for Lost {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

struct Proxy {
    id: String,
    process: String,
    connection: Connection,
    signals: Signals,
    /// An init's fifo, until it was started.
    fifo: Option<OwnedFd>,
    stream: u32,
}

impl Proxy {
    fn new(id: String, process: String) -> Result<Self, Lost> {
        let is_init = process.is_empty();
        let fifo = is_init.then(|| stdout().try_clone_to_owned()).transpose()?;
        let connection = Connection::new(stdin().try_clone_to_owned()?);
        Ok(Self { id, process, connection, signals: Signals::block()?, fifo, stream: WAIT })
    }

    /// Until the process has ended; its wait status.
    fn run(mut self) -> Result<i32, Lost> {
        let request = ProcessRequest { id: self.id.clone(), process: self.process.clone() };
        self.ask(Method::Wait, &request)?;
        self.resize()?;
        let mut patience = Some(&REST_AFTER);
        loop {
            let [answer, signal, start] = self.ready(patience)?;
            if patience.is_some() && !(answer || signal || start) {
                patience = None;
                rest();
            }
            if signal {
                self.pass_signals()?;
            }
            if start {
                self.start()?;
            }
            if answer && let Some(status) = self.answers()? {
                return Ok(status);
            }
        }
    }

    /// Waits until something is there: an answer, a signal, the start. Nothing is when the time is over.
    fn ready(&self, limit: Option<&Timespec>) -> Result<[bool; 3], Lost> {
        let nothing = || PollFd::new(&self.connection, PollFlags::empty());
        let fifo = self.fifo.as_ref().map_or_else(nothing, |fifo| PollFd::new(fifo, PollFlags::IN));
        let mut all = [PollFd::new(&self.connection, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN), fifo];
        match poll(&mut all, limit) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Err(Lost),
        }
        let is = |index: usize| !all[index].revents().is_empty();
        Ok([is(0), is(1), self.fifo.is_some() && all[2].revents().contains(PollFlags::IN)])
    }

    fn ask(&mut self, method: Method, request: &impl Message) -> Result<(), Lost> {
        let stream = self.stream;
        self.stream = stream.wrapping_add(2);
        Ok(self.connection.ask(stream, method, request.encode_to_vec(), &[])?)
    }

    fn start(&mut self) -> Result<(), Lost> {
        if let Some(fifo) = self.fifo.take() {
            let _ = rustix::io::read(&fifo, &mut [0_u8; 1]);
        }
        // The container may not have been there when the size was told first.
        self.resize()?;
        self.ask(Method::Start, &ContainerRequest { id: self.id.clone() })
    }

    fn pass_signals(&mut self) -> Result<(), Lost> {
        while let Some(signal) = self.signals.next()? {
            match Signal::from_named_raw(signal) {
                Some(Signal::CHILD) => {}
                Some(Signal::WINCH) => self.resize()?,
                _ => {
                    let (id, process) = (self.id.clone(), self.process.clone());
                    self.ask(Method::Signal, &SignalRequest { id, process, signal, all: false })?;
                }
            }
        }
        Ok(())
    }

    /// Tells the size of the terminal, if there is one.
    fn resize(&mut self) -> Result<(), Lost> {
        let Ok(size) = tcgetwinsize(stderr().as_fd()) else { return Ok(()) };
        let (rows, columns) = (size.ws_row.into(), size.ws_col.into());
        self.ask(Method::Resize, &Resize { id: self.id.clone(), process: self.process.clone(), rows, columns })
    }

    /// The process's status, if it is among what has arrived: it may come along with the answer to `start`.
    fn answers(&mut self) -> Result<Option<i32>, Lost> {
        loop {
            let status = self.answer()?;
            if status.is_some() || !self.connection.has_more() {
                return Ok(status);
            }
        }
    }

    /// The process's status, if that is what was answered.
    fn answer(&mut self) -> Result<Option<i32>, Lost> {
        let Some(Answer { stream, result }) = self.connection.answer()? else { return Ok(None) };
        if stream != WAIT {
            // A signal to a process that has just ended, or a size that nobody asks for.
            return Ok(None);
        }
        let status = result.ok().and_then(|payload| ExitStatus::decode(&*payload).ok()).ok_or(Lost)?;
        Ok(Some(status.wait_status))
    }
}

/// From a wait status (wait(2)) to what a shell would say.
fn exit_code(status: i32) -> i32 {
    match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn a_status_that_arrives_with_another_answer_is_seen() {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let theirs = Connection::new(theirs);
        theirs.respond(WAIT + 2, Ok(Vec::new())).unwrap();
        theirs.respond(WAIT, Ok(ExitStatus { wait_status: 0x700 }.encode_to_vec())).unwrap();
        let (told, seen) = channel();
        thread::spawn(move || {
            let (id, connection, signals) = ("web".to_owned(), Connection::new(ours), Signals::block().unwrap());
            let proxy = Proxy { id, process: String::new(), connection, signals, fifo: None, stream: WAIT };
            told.send(proxy.run().ok()).unwrap();
        });
        assert_eq!(seen.recv_timeout(Duration::from_secs(30)), Ok(Some(0x700)));
    }

    #[test]
    fn statuses_become_what_a_shell_says() {
        assert_eq!([0, 0x100, 9, 0x86].map(exit_code), [0, 1, 137, 134]);
    }
}
