//! `rm`, and what `--rm` and repair share with it.

use std::fs;
use std::time::Duration;

use stockade_sandbox::{Error, SignalTarget};

use super::{RemoveError, RemoveOptions};
use crate::options::Signal;
use crate::query::Status;
use crate::state::{Container, ContainerLock, NameTable, Record, RunState, remove_tree};
use crate::{Engine, LookupError, StateError};

/// How long a killed container's supervisor may take to clean up.
const END_TIMEOUT: Duration = Duration::from_secs(10);

impl Engine {
    /// Removes a container and all it held.
    pub fn remove(&self, name: &str, options: RemoveOptions) -> Result<(), RemoveError> {
        let container = self.find(name)?;
        loop {
            let lock = container.lock()?;
            let state = self.refresh(&container, &lock)?;
            if !state.is_live() {
                return self.remove_stopped(&container, &lock, options);
            }
            // The supervisor needs the lock to end.
            lock.release();
            refuse_unforced(&container.id, &state, options)?;
            self.end(&container, &state)?;
        }
    }

    /// Removes one that does not run, unless repair has just done so.
    fn remove_stopped(
        &self,
        container: &Container,
        lock: &ContainerLock,
        options: RemoveOptions,
    ) -> Result<(), RemoveError> {
        let record = match container.record() {
            Ok(record) => record,
            Err(LookupError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if options.volumes {
            self.remove_anonymous_volumes(&record)?;
        }
        Ok(self.dispose(container, &record, lock)?)
    }

    /// Kills the workload and waits for its supervisor; one that does not end in time is killed too.
    fn end(&self, container: &Container, state: &RunState) -> Result<(), RemoveError> {
        let record = container.record()?;
        let runtime = self.backend.runtime(record.isolation, &self.directories)?;
        let id = container.sandbox_id()?;
        match runtime.signal(&id, Signal::KILL.number(), SignalTarget::All) {
            Ok(()) => self.log_event(&record, "kill", &[("signal", "9")]),
            Err(Error::NotRunning | Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        if state.status == Status::Paused {
            let _ = runtime.resume(&id);
        }
        if self.await_end(container, Some(END_TIMEOUT))? == super::signal::End::TimedOut {
            kill_supervisor(container)?;
        }
        Ok(())
    }

    /// Takes everything of a container away; the last step makes it disappear. Hold the lock.
    pub(crate) fn dispose(
        &self,
        container: &Container,
        record: &Record,
        _lock: &ContainerLock,
    ) -> Result<(), StateError> {
        let state = container.run_state()?;
        if state.status != Status::Removing {
            container.write_run_state(&RunState { status: Status::Removing, ..state })?;
        }
        if container.has_run_directory() {
            self.release_class(container, record)?;
            remove_tree(&container.run)?;
        }
        if record.options.auto_remove {
            self.remove_anonymous_volumes(record)?;
        }
        NameTable::lock(&self.directories)?.free(&record.name, &record.id);
        self.release_lease(&record.id)?;
        let grave = self.directories.containers().join(format!("{}.removing", record.id));
        fs::rename(&container.dir, &grave).map_err(StateError::io("remove", &container.dir))?;
        self.log_event(record, "destroy", &[]);
        remove_tree(&grave)
    }
}

/// Removal of what lives needs force.
fn refuse_unforced(id: &str, state: &RunState, options: RemoveOptions) -> Result<(), RemoveError> {
    match state.status {
        _ if options.force => Ok(()),
        Status::Paused => Err(RemoveError::Paused(id.to_owned())),
        _ => Err(RemoveError::Running(id.to_owned())),
    }
}

/// Ends a supervisor that is stuck; its container is then repaired.
fn kill_supervisor(container: &Container) -> Result<(), StateError> {
    let pid = container.supervisor()?.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        // The lock goes with the process.
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
