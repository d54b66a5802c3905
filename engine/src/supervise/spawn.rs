//! The starter's side: a new supervisor, and the socket to it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use stockade_sandbox::IsolationClass;

use super::order::Order;
use super::protocol::{Request, WindowSize, pair, send};
use crate::state::{Container, ContainerLock};
use crate::supervise::protocol::Role;
use crate::{Engine, StateError, SupervisorCommand};

/// What a supervisor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// A container's init.
    Container,
    /// That of one which it will be told of.
    Ahead,
    /// One more process in it.
    Exec,
}

impl Task {
    /// As an argument.
    fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Ahead => "ahead",
            Self::Exec => "exec",
        }
    }

    /// From an argument.
    pub(crate) fn parse(text: &OsStr) -> Option<Self> {
        [Self::Container, Self::Ahead, Self::Exec].into_iter().find(|task| text == task.as_str())
    }
}

/// Starts a supervisor whose first client is the returned socket. It takes the lock over. `document` is what an exec's
/// supervisor is to run.
pub(crate) fn spawn(
    engine: &Engine,
    container: &Container,
    task: Task,
    lock: ContainerLock,
    greeting: &[Request<'_>],
    document: &[u8],
) -> Result<OwnedFd, StateError> {
    let supervisor = engine.backend.supervisor();
    let failed = StateError::io("start the supervisor", &supervisor.program);
    let start = || -> io::Result<OwnedFd> {
        let (ours, theirs) = pair()?;
        greet(&ours, greeting)?;
        command(engine, &supervisor, task, theirs)
            .arg(&container.id)
            .stdout(Stdio::from(lock.into_fd()))
            .stderr(Stdio::from(memory_file(document)?))
            .spawn()?;
        Ok(ours)
    };
    start().map_err(failed)
}

/// A supervisor that waits for its container, and ends with this.
#[derive(Debug)]
pub struct Ahead {
    socket: OwnedFd,
    /// Its program, which takes a while to close.
    held: Option<OwnedFd>,
}

/// Starts a supervisor ahead of its container of a class.
pub(crate) fn spawn_ahead(engine: &Engine, class: IsolationClass) -> Result<Ahead, StateError> {
    let supervisor = engine.backend.supervisor();
    let failed = StateError::io("start the supervisor", &supervisor.program);
    let start = || -> io::Result<OwnedFd> {
        let (ours, theirs) = pair()?;
        let document = Stdio::from(memory_file(&[])?);
        command(engine, &supervisor, Task::Ahead, theirs)
            .arg(class.to_string())
            .stdout(Stdio::null())
            .stderr(document)
            .spawn()?;
        Ok(ours)
    };
    let socket = start().map_err(failed)?;
    Ok(Ahead { socket, held: supervisor.held })
}

impl Ahead {
    /// Gives it its container, and returns its first client's socket. It takes the lock over.
    pub(crate) fn order(
        self,
        container: &Container,
        lock: ContainerLock,
        role: Role,
        window: Option<WindowSize>,
    ) -> Result<OwnedFd, StateError> {
        let failed = StateError::io("order the supervisor of", &container.dir);
        let given = Order { id: container.id.clone(), lock, role }.give(&self.socket).map_err(io::Error::from);
        let window: Vec<_> = window.map(Request::Resize).into_iter().collect();
        given.and_then(|()| greet(&self.socket, &window)).map_err(failed)?;
        drop(self.held);
        Ok(self.socket)
    }
}

fn command(engine: &Engine, supervisor: &SupervisorCommand, task: Task, socket: OwnedFd) -> Command {
    let mut command = Command::new(&supervisor.program);
    command
        .envs(supervisor.environment.clone())
        .args(&supervisor.arguments)
        .arg(task.as_str())
        .args([&engine.directories.root, &engine.directories.state])
        .stdin(Stdio::from(socket));
    command
}

fn greet(socket: &OwnedFd, greeting: &[Request<'_>]) -> io::Result<()> {
    let mut packet = Vec::new();
    for request in greeting {
        request.encode(&mut packet);
        send(socket, &packet)?;
    }
    Ok(())
}

/// A file in memory: unlike a message it may have any length.
fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("document", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// What a client says first.
pub(crate) fn greeting<'a>(role: Role, window: Option<WindowSize>) -> Vec<Request<'a>> {
    let mut greeting = vec![Request::Hello(role)];
    greeting.extend(window.map(Request::Resize));
    greeting
}
