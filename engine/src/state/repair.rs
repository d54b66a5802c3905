//! What a dead supervisor leaves, and how the next command puts it right.
//!
//! A workload whose supervisor died has lost its log, its terminal and whoever would record its exit code. It is
//! killed, as containerd does when a shim dies: exit code 137. If it had ended by itself the code is unknown: 255. Then
//! its class releases what it held, and `--rm` is honoured.

use stockade_sandbox::{DeleteMode, Error, Status as SandboxStatus};

use super::{Container, ContainerLock, Record, RunState, now, remove_tree};
use crate::query::Status;
use crate::{Engine, LookupError, StateError};

/// The exit code of a workload that was killed with its supervisor gone.
const CODE_KILLED: i32 = 137;
/// The exit code that nobody saw.
const CODE_UNKNOWN: i32 = 255;

impl Engine {
    /// The container's true state: repairs it first if its supervisor died. Hold the lock.
    pub(crate) fn refresh(&self, container: &Container, lock: &ContainerLock) -> Result<RunState, LookupError> {
        let state = container.run_state()?;
        let suspect = is_suspect(container, &state);
        if !suspect || container.supervisor()?.is_some() {
            return Ok(state);
        }
        // The supervisor may have ended in good order between the two looks.
        let state = container.run_state()?;
        self.repair(container, state, lock)
    }

    /// As [`Engine::refresh`], for those who do not hold the lock and need not wait for those who do.
    pub(crate) fn peek(&self, container: &Container) -> Result<RunState, LookupError> {
        let state = container.run_state()?;
        let suspect = is_suspect(container, &state);
        if !suspect || container.supervisor()?.is_some() {
            return Ok(state);
        }
        match container.try_lock()? {
            Some(lock) => {
                let state = self.refresh(container, &lock);
                lock.release();
                state
            }
            None => Ok(container.run_state()?),
        }
    }

    /// Ends what is left of a run.
    fn repair(
        &self,
        container: &Container,
        mut state: RunState,
        lock: &ContainerLock,
    ) -> Result<RunState, LookupError> {
        let record = container.record()?;
        tracing::warn!(container = container.id, "the supervisor is gone; cleaning up after it");
        let alive = self.release_class(container, &record)?;
        if state.is_live() {
            state.status = Status::Exited;
            state.exit_code = if alive { CODE_KILLED } else { CODE_UNKNOWN };
            state.finished_at = now();
            self.log_event(&record, "die", &[("exitCode", &state.exit_code.to_string())]);
        } else if state.started_at.is_empty() {
            "the supervisor ended before the container started".clone_into(&mut state.error);
        }
        state.pid = 0;
        container.write_run_state(&state)?;
        remove_tree(&container.run)?;
        if state.status == Status::Removing || record.options.auto_remove && state.status == Status::Exited {
            self.dispose(container, &record, lock)?;
        }
        Ok(state)
    }

    /// Kills and deletes the container in its class; tells whether its init was alive.
    pub(crate) fn release_class(&self, container: &Container, record: &Record) -> Result<bool, StateError> {
        let answer = || {
            let runtime = self.backend.runtime(record.isolation, &self.directories)?;
            let id = container.sandbox_id()?;
            let alive = match runtime.state(&id) {
                Ok(state) => state.status != SandboxStatus::Stopped,
                Err(Error::NotFound) => false,
                Err(_) => true,
            };
            runtime.delete(&id, DeleteMode::Force)?;
            crate::shm::tear_down(container, record);
            Ok(alive)
        };
        answer().map_err(|error: Error| StateError::Class { id: container.id.clone(), source: Box::new(error) })
    }
}

/// Whether this could be what a dead supervisor left, or a removal that was cut short.
fn is_suspect(container: &Container, state: &RunState) -> bool {
    state.is_live() || state.status == Status::Removing || container.has_run_directory()
}
