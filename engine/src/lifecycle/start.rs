//! `start`, with and without a session.

use std::os::fd::OwnedFd;

use rustix::net::RecvFlags;
use stockade_sandbox::IsolationClass;

use super::StartError;
use crate::query::Status;
use crate::session::{Session, own_window};
use crate::state::Container;
use crate::supervise::protocol::{MESSAGE_BYTES_MAX, Reply, Role, receive};
use crate::supervise::{Ahead, Task, greeting, spawn, spawn_ahead};
use crate::{AttachOptions, Engine};

impl Engine {
    /// Starts a container in the background. Starting one that runs does nothing.
    pub fn start(&self, name: &str) -> Result<(), StartError> {
        let container = self.find(name)?;
        self.launch(&container, Role::Watch, None).map(drop)
    }

    /// Starts a container and returns a session that sees all its output from the first byte on. One that runs already
    /// is attached to.
    pub fn start_attached(&self, name: &str, options: &AttachOptions) -> Result<Session<'_>, StartError> {
        self.start_attached_by(None, name, options)
    }

    /// Starts a supervisor that waits for the container of a class that [`Engine::start_attached_by`] gives it. To make
    /// one takes as long.
    pub fn supervisor_ahead(&self, class: IsolationClass) -> Result<Ahead, StartError> {
        Ok(spawn_ahead(self, class)?)
    }

    /// The same as [`Engine::start_attached`], by a supervisor that waits for it if there is one.
    pub fn start_attached_by(
        &self,
        ahead: Option<Ahead>,
        name: &str,
        options: &AttachOptions,
    ) -> Result<Session<'_>, StartError> {
        let container = self.find(name)?;
        let role = if options.stdin { Role::InputOutput } else { Role::Output };
        let tty = container.record()?.options.tty;
        match self.launch(&container, role, ahead)? {
            Some(socket) => Ok(Session::new(self, &container, socket, role, tty)),
            None => self
                .attach(name, options)
                .map_err(|error| StartError::Failed { exit_code: 125, message: error.to_string() }),
        }
    }

    /// Starts a supervisor and waits until the workload runs. `None` when it ran before.
    fn launch(&self, container: &Container, role: Role, ahead: Option<Ahead>) -> Result<Option<OwnedFd>, StartError> {
        let lock = container.lock()?;
        let state = self.refresh(container, &lock)?;
        match state.status {
            Status::Running => return Ok(None),
            Status::Paused => return Err(StartError::Paused),
            Status::Created | Status::Exited | Status::Removing => {}
        }
        // Repair may have honoured --rm.
        container.record()?;
        let socket = match ahead {
            Some(ahead) => ahead.order(container, lock, role, own_window())?,
            None => spawn(self, container, Task::Container, lock, &greeting(role, own_window()), &[])?,
        };
        await_start(&socket, &container.id)?;
        Ok(Some(socket))
    }
}

/// Waits for the supervisor's first message.
pub(super) fn await_start(socket: &OwnedFd, id: &str) -> Result<(), StartError> {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let length = receive(socket, &mut buffer, RecvFlags::empty()).unwrap_or(0);
    match Reply::decode(&buffer[..length]) {
        Some(Reply::Started) => Ok(()),
        Some(Reply::Failed(exit_code, message)) => Err(StartError::Failed { exit_code, message: message.to_owned() }),
        _ => Err(StartError::SupervisorLost(id.to_owned())),
    }
}
