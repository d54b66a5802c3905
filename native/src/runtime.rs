//! The verbs.

use std::path::PathBuf;
use std::time::Duration;

use oci_spec::runtime::LinuxResources;
use stockade_sandbox::{
    ContainerId, ContainerState, CreateRequest, DeleteMode, Error, ExecRequest, IsolationClass, OomWatch, Result,
    Runtime, SignalTarget, Stats, Status,
};

use crate::state::{Dir, Record, ids};
use crate::{create, delete, exec, hooks};

/// Isolation class `native`.
///
/// It clones the calling process, so that must have one thread: a lock held by another thread would stay locked in the
/// clone. Everything it knows is on disk below the state root.
#[derive(Clone, Debug)]
pub struct Native {
    state_root: PathBuf,
    patience: Option<Duration>,
}

impl Native {
    /// Keeps containers in directories below `state_root`, which is made when first needed.
    pub fn new(state_root: PathBuf) -> Self {
        Self { state_root, patience: None }
    }

    /// Gives up on a process of `exec` that takes longer to become its program: a container that can signal it can hold
    /// it up, and with it a caller that has others to serve.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    fn dir(&self, id: &ContainerId) -> Dir {
        Dir::of(&self.state_root, id)
    }

    /// The container's record, if it is neither ended nor half made, with its status.
    fn live(&self, id: &ContainerId) -> Result<(Record, Status)> {
        let dir = self.dir(id);
        let record = dir.read()?;
        match dir.status(&record) {
            Status::Stopped | Status::Creating => Err(Error::NotRunning),
            status => Ok((record, status)),
        }
    }
}

impl Runtime for Native {
    fn class(&self) -> IsolationClass {
        IsolationClass::Native
    }

    fn create(&self, id: &ContainerId, request: CreateRequest) -> Result<u32> {
        if request.trace.is_some() {
            return Err(Error::Unsupported {
                class: IsolationClass::Native,
                what: "trace system calls".to_owned(),
                why: "the host's kernel serves them: run strace(1), or use --isolation kernel".to_owned(),
            });
        }
        create::create(&self.state_root, id, request)
    }

    fn start(&self, id: &ContainerId) -> Result<()> {
        let dir = self.dir(id);
        let record = dir.read()?;
        match dir.status(&record) {
            Status::Created => {}
            Status::Stopped => return Err(Error::CannotStart("stopped")),
            Status::Paused => return Err(Error::CannotStart("paused")),
            Status::Creating => return Err(Error::CannotStart("not been created")),
            Status::Running => return Err(Error::CannotStart("already started")),
        }
        let fifo = dir.open_fifo()?.ok_or(Error::CannotStart("already started"))?;
        rustix::io::write(&fifo, b"0").map_err(|errno| Error::os("write exec.fifo", errno))?;
        dir.remove_fifo()?;
        let poststart = record.hooks.as_ref().and_then(|hooks| hooks.poststart().as_ref());
        let pid = record.init.map(|init| init.pid);
        hooks::run_all("poststart", poststart, &hooks::state_json(&record, Status::Running, pid));
        Ok(())
    }

    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<u32> {
        let (record, status) = self.live(id)?;
        if status == Status::Paused && !request.ignore_paused {
            return Err(Error::Paused { verb: "exec in" });
        }
        exec::exec(&self.dir(id), &record, request, self.patience)
    }

    fn signal(&self, id: &ContainerId, signal: i32, target: SignalTarget) -> Result<()> {
        let dir = self.dir(id);
        let record = dir.read()?;
        match target {
            SignalTarget::All => Ok(record.cgroup.signal_all(signal)?),
            SignalTarget::Init => signal_init(&record, signal),
        }
    }

    fn state(&self, id: &ContainerId) -> Result<ContainerState> {
        let dir = self.dir(id);
        let record = dir.read()?;
        Ok(dir.container_state(record))
    }

    fn list(&self) -> Result<Vec<ContainerState>> {
        let states = ids(&self.state_root)?.into_iter().filter_map(|id| match self.state(&id) {
            Ok(state) => Some(state),
            Err(Error::NotFound) => None,
            Err(error) => {
                tracing::warn!("load container {id}: {error}");
                None
            }
        });
        Ok(states.collect())
    }

    fn pause(&self, id: &ContainerId) -> Result<()> {
        match self.live(id)? {
            (_, Status::Paused) => Err(Error::Paused { verb: "pause" }),
            (record, _) => Ok(record.cgroup.freeze()?),
        }
    }

    fn resume(&self, id: &ContainerId) -> Result<()> {
        match self.live(id)? {
            (record, Status::Paused) => Ok(record.cgroup.thaw()?),
            _ => Err(Error::NotPaused),
        }
    }

    fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()> {
        Ok(self.live(id)?.0.cgroup.apply(resources)?)
    }

    fn stats(&self, id: &ContainerId) -> Result<Stats> {
        Ok(self.live(id)?.0.cgroup.stats()?)
    }

    fn processes(&self, id: &ContainerId) -> Result<Vec<u32>> {
        Ok(self.dir(id).read()?.cgroup.pids()?)
    }

    fn watch_oom(&self, id: &ContainerId) -> Result<Box<dyn OomWatch>> {
        Ok(self.live(id)?.0.cgroup.watch_oom()?)
    }

    fn delete(&self, id: &ContainerId, mode: DeleteMode) -> Result<()> {
        delete::delete(&self.state_root, id, mode)
    }
}

fn signal_init(record: &Record, signal: i32) -> Result<()> {
    let init = record.init.ok_or(Error::NotRunning)?;
    match init.signal(signal) {
        Ok(true) => {}
        Ok(false) => return Err(Error::NotRunning),
        Err(error) => return Err(Error::os(format!("signal {signal}"), error)),
    }
    if signal == libc::SIGKILL && record.cgroup.is_frozen().unwrap_or(false) {
        // A frozen process of cgroup v1 does not die before it is thawed.
        record.cgroup.thaw()?;
    }
    Ok(())
}
