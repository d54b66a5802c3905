//! The class's service, in the process of whoever calls a verb.

mod clocks;
mod lacks;
mod launch;
mod limits;
mod owner;
mod stats;
mod upper;

use std::path::{Path, PathBuf};

use launch::Home;
use oci_spec::runtime::LinuxResources;
use stockade_hosted::{MACHINE, Monitors, Owner, SOCKET};
use stockade_kernel_platform::TrapPath;
use stockade_native::cgroup::Cgroup;
use stockade_native::jail::NewNetwork;
use stockade_native::{Native, hosted};
use stockade_sandbox::protocol::{Method, ProcessEntry, Update};
use stockade_sandbox::{
    ContainerId, ContainerState, CreateRequest, DeleteMode, Error, ExecRequest, IsolationClass, OomWatch, Result,
    Runtime, SignalTarget, Stats, Status,
};

const SIGKILL: i32 = 9;

/// Isolation class `kernel`.
///
/// Like [`Native`], it clones the calling process, which must have one thread, and keeps all state on disk.
#[derive(Debug)]
pub struct KernelClass {
    state_root: PathBuf,
    native: Native,
    monitors: Monitors,
}

impl KernelClass {
    /// Keeps containers in directories below `state_root`, beside those of class `native`.
    pub fn new(state_root: PathBuf) -> Self {
        Self { native: Native::new(state_root.clone()), monitors: Monitors::new(state_root.clone()), state_root }
    }

    /// Begins what every container needs, in the process that will make one.
    pub fn prepare() {
        // Who cannot is told so when it is needed.
        let _ = NewNetwork::begin_ahead();
    }

    /// Which trap path this host can do (docs/rfcs/0001-trap-path.md), or why none.
    pub fn trap_path() -> std::result::Result<&'static str, std::io::Error> {
        TrapPath::of_host().map(TrapPath::name)
    }

    /// Whether a sandbox's clocks begin with it on this host, which takes time_namespaces(7).
    pub fn has_own_clocks() -> bool {
        stockade_native::clocks::can_be_own()
    }

    /// Whether a container below a state root is of this class.
    pub fn has(state_root: &Path, id: &ContainerId) -> bool {
        let dir = hosted::state_dir(state_root, id);
        dir.join(SOCKET).exists() && !dir.join(MACHINE).exists()
    }

    /// The applications' part of the control group of a live container's sandbox.
    fn applications(&self, id: &ContainerId) -> Result<Cgroup> {
        let owner = Owner::of(&self.state_root, id)?;
        Ok(hosted::live_cgroup(&self.state_root, owner.as_ref().unwrap_or(id))?.applications())
    }
}

impl Runtime for KernelClass {
    fn class(&self) -> IsolationClass {
        IsolationClass::Kernel
    }

    fn create(&self, id: &ContainerId, mut request: CreateRequest) -> Result<u32> {
        let joined = request.sandbox.as_ref();
        lacks::refuse(&request.spec, joined)?;
        let owner = joined.map(|member| owner::to_join(&self.state_root, member)).transpose()?;
        if owner.is_some() {
            owner::refuse_limits(&limits::of_spec(&request.spec))?;
        }
        let home = match owner {
            None => Home::Own(NewNetwork::begin()?),
            Some(owner) => {
                NewNetwork::forget();
                Home::Another(owner)
            }
        };
        let on_host = limits::spec_on_host(&request.spec);
        let spec = std::mem::replace(&mut request.spec, on_host);
        hosted::create(&self.state_root, id, request, |stage, request| launch::launch(id, stage, home, &spec, request))
    }

    fn start(&self, id: &ContainerId) -> Result<()> {
        self.native.start(id)
    }

    fn exec(&self, id: &ContainerId, mut request: ExecRequest) -> Result<u32> {
        if !request.ignore_paused && self.monitors.stands_still(id)? {
            return Err(Error::Paused { verb: "exec in" });
        }
        let cgroup = hosted::live_cgroup(&self.state_root, id)?;
        request.process = hosted::with_defaults(&self.state_root, id, request.process)?;
        stockade_hosted::exec(id, self.monitors.connect(id)?, &cgroup, request)
    }

    fn signal(&self, id: &ContainerId, signal: i32, target: SignalTarget) -> Result<()> {
        self.monitors.signal(id, signal, target)?;
        if signal == SIGKILL && self.native.state(id)?.status == Status::Paused {
            return self.native.resume(id);
        }
        Ok(())
    }

    fn state(&self, id: &ContainerId) -> Result<ContainerState> {
        self.native.state(id)
    }

    fn list(&self) -> Result<Vec<ContainerState>> {
        let mut all = self.native.list()?;
        all.retain(|state| Self::has(&self.state_root, &state.id));
        Ok(all)
    }

    fn pause(&self, id: &ContainerId) -> Result<()> {
        match Owner::of(&self.state_root, id)? {
            Some(_) => Err(owner::refuse_pause()),
            None => hosted::pause(&self.state_root, id),
        }
    }

    fn resume(&self, id: &ContainerId) -> Result<()> {
        self.native.resume(id)
    }

    fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()> {
        match Owner::of(&self.state_root, id)? {
            Some(_) => owner::refuse_limits(resources)?,
            // First where it can be refused: below what is in use.
            None => self.applications(id)?.apply(&limits::of_applications(resources))?,
        }
        self.native.update(id, &limits::on_host(resources))?;
        let resources = serde_json::to_vec(resources).map_err(|error| Error::Other(error.to_string()))?;
        self.monitors.order(id, Method::Update, &Update { id: id.to_string(), resources })
    }

    fn stats(&self, id: &ContainerId) -> Result<Stats> {
        let host = self.native.stats(id)?;
        // What the host counts is all that can be had while the monitor stands still.
        let Some(inside) = self.monitors.stats(id)? else { return Ok(host) };
        match Owner::of(&self.state_root, id)? {
            Some(_) => Ok(stats::of_member(host, inside)),
            None => Ok(stats::join(host, &inside, self.applications(id)?.stats()?)),
        }
    }

    fn processes(&self, id: &ContainerId) -> Result<Vec<u32>> {
        self.native.processes(id)
    }

    fn own_processes(&self, id: &ContainerId) -> Result<Option<Vec<ProcessEntry>>> {
        self.monitors.processes(id).map(Some)
    }

    fn watch_oom(&self, id: &ContainerId) -> Result<Box<dyn OomWatch>> {
        Ok(self.applications(id)?.watch_oom()?)
    }

    fn delete(&self, id: &ContainerId, mode: DeleteMode) -> Result<()> {
        self.native.delete(id, mode)
    }
}
