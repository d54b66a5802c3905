//! From a container's record to its running init.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use stockade_sandbox::{
    CgroupManager, ContainerId, CreateRequest, DeleteMode, Error, PivotRoot, Rootfs, SessionKeyring, Stdio, Terminal,
    WritableLayer,
};

use super::client::Client;
use super::protocol::{self, Reply};
use super::pump::Pump;
use super::streams::{self, InputMode, Streams};
use super::{exit_code_of, fail, finish};
use crate::logs::LogWriter;
use crate::options::{LogDriver, NamespaceMode};
use crate::query::Status;
use crate::state::{Container, ContainerLock, Record, RunState, SupervisorLock, now, remove_tree};
use crate::{Engine, spec};

/// Starts the container and keeps it until it ends. False when it did not start.
pub(super) fn supervise(engine: &Engine, container: &Container, lock: ContainerLock, mut client: Client) -> bool {
    let guard = match SupervisorLock::acquire(&container.supervisor_lock_path()) {
        Ok(Some(guard)) => guard,
        _ => {
            fail(&mut client, 125, "the container has a supervisor already");
            return false;
        }
    };
    match launch(engine, container) {
        Ok(mut pump) => {
            lock.release();
            client.send(Reply::Started);
            pump.clients.push(client);
            let code = pump.run(|| engine.backend.rest());
            finish::finish(engine, container, guard, pump, code);
            true
        }
        Err(error) => {
            let code = exit_code_of(&error, 125);
            let text = super::finish::failed(engine, container, &lock, code, &error);
            drop(guard);
            lock.release();
            fail(&mut client, code, &text);
            false
        }
    }
}

/// Creates, wires up and starts; undoes nothing on failure.
fn launch(engine: &Engine, container: &Container) -> Result<Pump, Error> {
    let record = container.record().map_err(|error| Error::Other(error.to_string()))?;
    fs::create_dir_all(&container.run).map_err(|error| Error::os("create the run directory", error))?;
    crate::shm::set_up(container, &record).map_err(|error| Error::Other(error.to_string()))?;
    let runtime = engine.backend.runtime(record.isolation, &engine.directories)?;
    let id = container.sandbox_id()?;

    let (wiring, terminal, stdio) = wire(&record).map_err(|error| Error::os("open streams", error))?;
    let request = request(engine, container, &record, terminal, stdio)?;
    let pid = runtime.create(&id, request)?;
    let process = open_process(pid)?;
    let streams = wiring.finish().map_err(|error| Error::os("receive the terminal", error))?;
    let pump = Pump {
        process,
        streams,
        log: open_log(container, &record)?,
        clients: Vec::new(),
        listener: Some(protocol::listen(&container.run, "attach.sock").map_err(|e| Error::os("bind attach.sock", e))?),
        oom: runtime.watch_oom(&id).ok(),
        input_once: record.options.stdin_once,
        on_oom: finish::oom_reporter(engine, &record),
        oom_killed: false,
        pending_input: Vec::new(),
    };
    // Written first: once the workload runs, there is no moment at which nobody knows.
    container.write_run_state(&running(container, pid)).map_err(|error| Error::Other(error.to_string()))?;
    runtime.start(&id)?;
    engine.log_event(&record, "start", &[]);
    Ok(pump)
}

/// The state of a container that begins to run.
fn running(container: &Container, pid: u32) -> RunState {
    let before = container.run_state().unwrap_or_default();
    RunState {
        status: Status::Running,
        pid,
        started_at: now(),
        exit_code: 0,
        oom_killed: false,
        error: String::new(),
        ..before
    }
}

/// Watches a child of ours.
pub(super) fn open_process(pid: u32) -> Result<OwnedFd, Error> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Error::Other("the class answered with pid 0".to_owned()))?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|error| Error::os("watch the init", error))
}

/// The log, unless the container keeps none.
fn open_log(container: &Container, record: &Record) -> Result<Option<LogWriter>, Error> {
    match record.options.log.driver {
        LogDriver::None => Ok(None),
        LogDriver::JsonFile => LogWriter::open(&container.log_path(), &record.options.log)
            .map(Some)
            .map_err(|error| Error::os("open the log", error)),
    }
}

/// Streams before the class has them.
pub(super) enum Wiring {
    /// Pipes are complete at once.
    Pipes(Streams),
    /// A terminal's master comes from the class.
    Terminal(std::os::unix::net::UnixStream, InputMode),
}

impl Wiring {
    /// The streams, once the class has made the process.
    pub(super) fn finish(self) -> Result<Streams, rustix::io::Errno> {
        match self {
            Self::Pipes(streams) => Ok(streams),
            Self::Terminal(socket, input) => streams::receive_console(&socket, input),
        }
    }
}

/// Makes the streams that a container asks for.
fn wire(record: &Record) -> io::Result<(Wiring, Terminal, Stdio)> {
    let input = if record.options.interactive { InputMode::Open } else { InputMode::Null };
    if record.options.tty { wire_terminal(input) } else { wire_pipes(input) }
}

/// A terminal.
pub(super) fn wire_terminal(input: InputMode) -> io::Result<(Wiring, Terminal, Stdio)> {
    let (socket, terminal) = streams::terminal()?;
    Ok((Wiring::Terminal(socket, input), terminal, Stdio::default()))
}

/// Pipes.
pub(super) fn wire_pipes(input: InputMode) -> io::Result<(Wiring, Terminal, Stdio)> {
    let (streams, stdio) = streams::pipes(input)?;
    Ok((Wiring::Pipes(streams), Terminal::None, stdio))
}

/// What the class is asked for.
fn request(
    engine: &Engine,
    container: &Container,
    record: &Record,
    terminal: Terminal,
    stdio: Stdio,
) -> Result<CreateRequest, Error> {
    let spec = spec::build(engine, container, record).map_err(|error| Error::InvalidConfig(error.to_string()))?;
    let writable = WritableLayer { dir: container.file("rw"), volatile: record.options.auto_remove };
    Ok(CreateRequest {
        bundle: container.run.clone(),
        spec,
        rootfs: Rootfs::Layers { blobs: record.image.layers.clone(), writable },
        user: spec::user(record),
        terminal,
        stdio,
        preserve_fds: 0,
        pid_file: None,
        pivot_root: PivotRoot::default(),
        keyring: SessionKeyring::default(),
        cgroup_manager: CgroupManager::default(),
        cgroup_parent: spec::cgroup_parent(record),
        sandbox: joined(engine, record)?,
        trace: record.options.strace.clone(),
    })
}

/// Whose network it shares, its sandbox it shares.
fn joined(engine: &Engine, record: &Record) -> Result<Option<ContainerId>, Error> {
    match &record.options.network {
        NamespaceMode::Container(id) => Container::new(&engine.directories, id).sandbox_id().map(Some),
        _ => Ok(None),
    }
}

/// Deletes what a failed start left in the class and in the run directory.
pub(super) fn undo(engine: &Engine, container: &Container, record: &Record) -> Result<(), Error> {
    let runtime = engine.backend.runtime(record.isolation, &engine.directories)?;
    runtime.delete(&container.sandbox_id()?, DeleteMode::Force)?;
    crate::shm::tear_down(container, record);
    remove_tree(&container.run).map_err(|error| Error::Other(error.to_string()))
}
