//! The end of a run: what is recorded, released and told.

use stockade_sandbox::Error;

use super::launch::undo;
use super::pump::Pump;
use crate::Engine;
use crate::query::Status;
use crate::state::{Container, ContainerLock, Record, RunState, SupervisorLock, now};

/// Records how the workload ended, releases what it held, then tells its clients.
pub(super) fn finish(engine: &Engine, container: &Container, guard: SupervisorLock, pump: Pump, code: i32) {
    // A container that is gone already was removed by force: nothing is left to record.
    if let Ok(lock) = container.lock() {
        if let Ok(record) = container.record() {
            conclude(engine, container, &record, &lock, Ending { code, oom_killed: pump.oom_killed });
        }
        drop(guard);
        lock.release();
    }
    pump.farewell(code);
}

/// How a run ended.
#[derive(Clone, Copy)]
struct Ending {
    code: i32,
    oom_killed: bool,
}

/// Writes the end down before it releases anything: whoever finds the run directory knows that releasing is due.
fn conclude(engine: &Engine, container: &Container, record: &Record, lock: &ContainerLock, ending: Ending) {
    let before = container.run_state().unwrap_or_default();
    let state = RunState {
        status: if record.options.auto_remove { Status::Removing } else { Status::Exited },
        pid: 0,
        exit_code: ending.code,
        oom_killed: ending.oom_killed,
        finished_at: now(),
        ..before
    };
    let written = container.write_run_state(&state).map_err(|error| Error::Other(error.to_string()));
    if let Err(error) = written.and_then(|()| undo(engine, container, record)) {
        tracing::error!(%error, "cannot release the container");
    }
    engine.log_event(record, "die", &[("exitCode", &ending.code.to_string())]);
    if record.options.auto_remove
        && let Err(error) = engine.dispose(container, record, lock)
    {
        tracing::error!(%error, "cannot remove the container");
    }
}

/// Records that the container did not start, and returns the reason for people.
pub(super) fn failed(engine: &Engine, container: &Container, lock: &ContainerLock, code: u8, error: &Error) -> String {
    let text = error.to_string();
    let Ok(record) = container.record() else { return text };
    if let Err(error) = undo(engine, container, &record) {
        tracing::error!(%error, "cannot undo a failed start");
    }
    let before = container.run_state().unwrap_or_default();
    let first = before.finished_at.is_empty();
    let status = if first { Status::Created } else { Status::Exited };
    let started_at = if first { String::new() } else { before.started_at };
    let state = RunState { status, pid: 0, started_at, exit_code: code.into(), error: text.clone(), ..before };
    let _ = container.write_run_state(&state);
    if record.options.auto_remove {
        let _ = engine.dispose(container, &record, lock);
    }
    text
}

/// What to do when memory ran out: an event with the name that the container has by then.
pub(super) fn oom_reporter(engine: &Engine, record: &Record) -> Box<dyn Fn()> {
    let (directories, id) = (engine.directories.clone(), record.id.clone());
    Box::new(move || {
        let container = Container::new(&directories, &id);
        if let Ok(record) = container.record() {
            crate::events::record_container(&directories, &record, "oom", &[]);
        }
    })
}
