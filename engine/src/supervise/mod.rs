//! The supervisor: one small process per running container (and per exec), as conmon is.
//!
//! It starts the workload through the class, so that the init is its child; keeps the log, the terminal and the socket
//! that clients attach to; and records how the workload ended. It is single-threaded, has a session of its own, and
//! neither needs its starter nor keeps it from ending. What it needed to start is dropped before its loop begins.
//!
//! Descriptors at birth: 0 the first client's socket, 1 the container's lock (held until the workload runs), 2 what to
//! run, for an exec. One that is started ahead of its container knows its class, and gets id and lock by the socket
//! ([`order`]).

mod client;
mod exec;
mod finish;
mod launch;
mod order;
pub(crate) mod protocol;
mod pump;
mod spawn;
mod streams;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use rustix::net::RecvFlags;
use stockade_sandbox::Error;

use crate::state::{Container, ContainerLock};
use crate::{Backend, Directories, Engine};
use client::Client;
pub(crate) use exec::ExecDocument;
use order::Order;
use protocol::{Reply, Request, receive};
pub use spawn::Ahead;
pub(crate) use spawn::{Task, greeting, spawn, spawn_ahead};

/// What the binary runs after its hidden verb: keeps one container until it ends. `arguments` are those that the
/// engine appended to [`SupervisorCommand`](crate::SupervisorCommand).
pub fn supervise_main(arguments: &[OsString], backend: Box<dyn Backend>) -> ExitCode {
    match Birth::new(arguments, backend) {
        Ok(birth) => birth.run(),
        Err(_) => ExitCode::FAILURE,
    }
}

/// A supervisor that has not begun.
struct Birth {
    engine: Engine,
    container: Container,
    task: Task,
    client: Client,
    lock: ContainerLock,
    document: Vec<u8>,
}

impl Birth {
    /// Takes its arguments and descriptors, and leaves its starter's session.
    fn new(arguments: &[OsString], backend: Box<dyn Backend>) -> io::Result<Self> {
        let [task, root, state, name] = arguments else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the supervisor is started by the engine only"));
        };
        let task = Task::parse(task).ok_or(io::ErrorKind::InvalidInput)?;
        let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let client = take_descriptor(rustix::stdio::stdin())?;
        let lock = take_descriptor(rustix::stdio::stdout())?;
        let mut document = Vec::new();
        File::from(take_descriptor(rustix::stdio::stderr())?).read_to_end(&mut document)?;
        silence()?;
        // Fails only for one that leads a session already.
        let _ = rustix::process::setsid();
        rustix::process::chdir("/")?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let directories = Directories { root: root.into(), state: state.into() };
        let (id, lock, client) = match task {
            Task::Container | Task::Exec => (name.to_owned(), ContainerLock::from_inherited(lock), greeted(client)),
            Task::Ahead => {
                backend.prepare(name.parse().map_err(io::Error::other)?);
                let order = Order::take(&client).ok_or(io::ErrorKind::UnexpectedEof)?;
                let mut client = Client::new(client);
                client.set_role(order.role);
                (order.id, order.lock, client)
            }
        };
        let container = Container::new(&directories, &id);
        Ok(Self { engine: Engine { directories, backend }, container, task, client, lock, document })
    }

    /// Supervises.
    fn run(self) -> ExitCode {
        let (engine, container, client) = (self.engine, self.container, self.client);
        let done = match self.task {
            Task::Container | Task::Ahead => launch::supervise(&engine, &container, self.lock, client),
            Task::Exec => {
                self.lock.release();
                exec::supervise(&engine, &container, &self.document, client)
            }
        };
        if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A copy of an inherited descriptor that no child of ours inherits.
fn take_descriptor(fd: impl std::os::fd::AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

/// Makes the standard streams /dev/null.
fn silence() -> io::Result<()> {
    let null = streams::null()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

/// The first client, and who it is: its starter has sent that before it started us.
fn greeted(socket: OwnedFd) -> Client {
    let mut client = Client::new(socket);
    let mut buffer = [0; 64];
    let length = receive(client.socket(), &mut buffer, RecvFlags::DONTWAIT).unwrap_or(0);
    if let Some(Request::Hello(role)) = Request::decode(&buffer[..length]) {
        client.set_role(role);
    }
    client
}

/// Tells the first client why there is no workload.
fn fail(client: &mut Client, code: u8, message: &str) {
    client.send(Reply::Failed(code, message));
}

/// The exit status that a start error stands for; `other` when the program is not at fault.
pub(crate) fn exit_code_of(error: &Error, other: u8) -> u8 {
    match error {
        Error::ExecutableNotFound(_) | Error::NoSuchProgram(_) => 127,
        Error::NotExecutable { .. } => 126,
        _ => other,
    }
}
