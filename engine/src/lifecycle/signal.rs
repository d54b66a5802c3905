//! `kill`, `stop`, `wait`, `pause`, `unpause`.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use stockade_sandbox::{Error, SignalTarget};

use super::{PauseError, SignalError, StopOptions, WaitError};
use crate::options::Signal;
use crate::query::Status;
use crate::state::{Container, Record};
use crate::supervise::protocol::{Reply, connect, receive};
use crate::{Engine, LookupError, StateError};

/// Docker's grace time.
const STOP_TIMEOUT_S: i32 = 10;
/// How long SIGKILL may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before looking again for a supervisor that is about to end.
const RETRY: Duration = Duration::from_millis(5);

/// What waiting for the end of a run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended, with this code if the supervisor could still tell.
    Ended(Option<i32>),
    /// It had not, in the time allowed.
    TimedOut,
}

impl Engine {
    /// Sends a signal to the init. SIGKILL waits for the end.
    pub fn kill(&self, name: &str, signal: Signal) -> Result<(), SignalError> {
        let container = self.find(name)?;
        let state = self.peek(&container)?;
        if !matches!(state.status, Status::Running | Status::Paused) {
            return Err(not_running(name, &container));
        }
        let record = container.record()?;
        self.send_signal(&container, &record, signal)?;
        if signal == Signal::KILL {
            if state.status == Status::Paused {
                // With cgroup v1 a frozen process dies only once it is thawed.
                self.thaw(&container, &record)?;
            }
            self.await_end(&container, Some(KILL_TIMEOUT))?;
        }
        Ok(())
    }

    /// Asks the init to end, and kills the container if it takes too long. Stopping one that does not run does nothing.
    pub fn stop(&self, name: &str, options: &StopOptions) -> Result<(), SignalError> {
        let container = self.find(name)?;
        let state = self.peek(&container)?;
        if !matches!(state.status, Status::Running | Status::Paused) {
            return Ok(());
        }
        let record = container.record()?;
        if state.status == Status::Paused {
            self.thaw(&container, &record)?;
        }
        let signal = options.signal.unwrap_or_else(|| stop_signal(&record));
        self.send_signal(&container, &record, signal)?;
        let seconds = options.timeout_s.or(record.options.stop_timeout_s).unwrap_or(STOP_TIMEOUT_S);
        let timeout = u64::try_from(seconds).ok().map(Duration::from_secs);
        if self.await_end(&container, timeout)? == End::TimedOut {
            self.send_signal(&container, &record, Signal::KILL)?;
            self.await_end(&container, Some(KILL_TIMEOUT))?;
        }
        self.log_event(&record, "stop", &[]);
        Ok(())
    }

    /// Signals the init; one that has just ended does not mind.
    pub(crate) fn send_signal(
        &self,
        container: &Container,
        record: &Record,
        signal: Signal,
    ) -> Result<(), SignalError> {
        let runtime = self.backend.runtime(record.isolation, &self.directories)?;
        match runtime.signal(&container.sandbox_id()?, signal.number(), SignalTarget::Init) {
            Ok(()) => self.log_event(record, "kill", &[("signal", &signal.number().to_string())]),
            Err(Error::NotRunning | Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Resumes a frozen container, whoever froze it.
    fn thaw(&self, container: &Container, record: &Record) -> Result<(), SignalError> {
        let runtime = self.backend.runtime(record.isolation, &self.directories)?;
        match runtime.resume(&container.sandbox_id()?) {
            Ok(()) | Err(Error::NotPaused | Error::NotRunning | Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        self.set_status(container, Status::Running)?;
        Ok(())
    }

    /// Blocks until the container does not run, and returns its exit code.
    pub fn wait(&self, name: &str) -> Result<i32, WaitError> {
        let container = self.find(name)?;
        if !self.peek(&container)?.is_live() {
            return Ok(container.run_state()?.exit_code);
        }
        match self.await_end(&container, None)? {
            End::Ended(Some(code)) => Ok(code),
            _ => Ok(self.peek(&container)?.exit_code),
        }
    }

    /// Waits until the container's supervisor has ended its work.
    pub(crate) fn await_end(&self, container: &Container, timeout: Option<Duration>) -> Result<End, StateError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Ok(socket) = connect(&container.run, "attach.sock") {
                return Ok(watch(&socket, deadline));
            }
            if container.supervisor()?.is_none() {
                return Ok(End::Ended(None));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(End::TimedOut);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Freezes.
    pub fn pause(&self, name: &str) -> Result<(), PauseError> {
        let container = self.find(name)?;
        let lock = container.lock()?;
        match self.refresh(&container, &lock)?.status {
            Status::Running => {}
            Status::Paused => return Err(PauseError::AlreadyPaused(name.to_owned())),
            _ => return Err(PauseError::NotRunning(name.to_owned())),
        }
        let record = container.record()?;
        let runtime = self.backend.runtime(record.isolation, &self.directories)?;
        // Written first: a container that is called paused and runs can be unpaused; the other way round it could not.
        write_status(&container, Status::Paused)?;
        if let Err(error) = runtime.pause(&container.sandbox_id()?) {
            write_status(&container, Status::Running)?;
            return Err(error.into());
        }
        lock.release();
        self.log_event(&record, "pause", &[]);
        Ok(())
    }

    /// Thaws.
    pub fn unpause(&self, name: &str) -> Result<(), PauseError> {
        let container = self.find(name)?;
        let lock = container.lock()?;
        match self.refresh(&container, &lock)?.status {
            Status::Paused => {}
            Status::Running => return Err(PauseError::NotPaused(name.to_owned())),
            _ => return Err(PauseError::NotRunning(name.to_owned())),
        }
        let record = container.record()?;
        match self.backend.runtime(record.isolation, &self.directories)?.resume(&container.sandbox_id()?) {
            Ok(()) | Err(Error::NotPaused) => {}
            Err(error) => return Err(error.into()),
        }
        write_status(&container, Status::Running)?;
        lock.release();
        self.log_event(&record, "unpause", &[]);
        Ok(())
    }

    /// Notes that a live container is frozen or not.
    fn set_status(&self, container: &Container, status: Status) -> Result<(), LookupError> {
        let lock = container.lock()?;
        if container.run_state()?.is_live() {
            write_status(container, status)?;
        }
        lock.release();
        Ok(())
    }
}

/// Writes the status of a live container. Hold the lock.
fn write_status(container: &Container, status: Status) -> Result<(), StateError> {
    let state = container.run_state()?;
    container.write_run_state(&crate::state::RunState { status, ..state })
}

/// The signal that asks this container to end.
pub(crate) fn stop_signal(record: &Record) -> Signal {
    let image = || record.image.config.stop_signal().as_ref().and_then(|name| name.parse().ok());
    record.options.stop_signal.or_else(image).unwrap_or(Signal::TERM)
}

/// Reads a supervisor's messages until the last one.
fn watch(socket: &std::os::fd::OwnedFd, deadline: Option<Instant>) -> End {
    let mut buffer = [0; 64];
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return End::TimedOut,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return End::Ended(None),
        }
        match receive(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => {}
            Ok(length) if length > 0 => {
                if let Some(Reply::Exited(code)) = Reply::decode(&buffer[..length]) {
                    return End::Ended(Some(code));
                }
            }
            _ => return End::Ended(None),
        }
    }
}

/// Docker's words.
fn not_running(name: &str, container: &Container) -> SignalError {
    SignalError::NotRunning { name: name.to_owned(), id: container.id.clone() }
}
