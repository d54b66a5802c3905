//! `exec`.

use std::os::fd::OwnedFd;

use super::start::await_start;
use super::{ExecError, ExecOptions, StartError};
use crate::Engine;
use crate::query::Status;
use crate::session::{Session, own_window};
use crate::state::{Container, new_id};
use crate::supervise::protocol::Role;
use crate::supervise::{ExecDocument, Task, greeting, spawn};

impl Engine {
    /// Runs one more process in a running container, attached to the caller.
    pub fn exec(&self, name: &str, options: &ExecOptions) -> Result<Session<'_>, ExecError> {
        let role = if options.interactive { Role::InputOutput } else { Role::Output };
        let (container, socket) = self.launch_exec(name, options, role)?;
        Ok(Session::of_exec(self, &container, socket, role, options.tty))
    }

    /// Runs one more process in the background, without streams.
    pub fn exec_detached(&self, name: &str, options: &ExecOptions) -> Result<(), ExecError> {
        self.launch_exec(name, options, Role::Watch).map(drop)
    }

    /// Starts the exec's supervisor and waits until the process runs.
    fn launch_exec(&self, name: &str, options: &ExecOptions, role: Role) -> Result<(Container, OwnedFd), ExecError> {
        let container = self.find(name)?;
        // Held only until the supervisor has its descriptors: the container may not be removed under its feet.
        let lock = container.lock()?;
        match self.refresh(&container, &lock)?.status {
            Status::Running => {}
            Status::Paused => return Err(ExecError::Paused(name.to_owned())),
            _ => return Err(ExecError::NotRunning(container.id)),
        }
        let document = ExecDocument { id: new_id()?, options: options.clone(), detached: role == Role::Watch };
        let record = container.record()?;
        let command = options.command.join(" ");
        self.log_event(&record, &format!("exec_create: {command}"), &[("execID", &document.id)]);
        let text = serde_json::to_vec(&document).unwrap_or_default();
        let socket = spawn(self, &container, Task::Exec, lock, &greeting(role, own_window()), &text)?;
        await_start(&socket, &container.id).map_err(exec_error)?;
        Ok((container, socket))
    }
}

/// An exec's words for a failed start.
fn exec_error(error: StartError) -> ExecError {
    match error {
        StartError::Failed { exit_code, message } => ExecError::Failed { exit_code, message },
        StartError::State(error) => ExecError::State(error),
        other => ExecError::Failed { exit_code: 1, message: other.to_string() },
    }
}
