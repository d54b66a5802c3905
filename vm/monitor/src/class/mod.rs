//! The class's service, in the process of whoever calls a verb.

mod guest_spec;
mod initramfs;
mod lacks;
mod launch;
mod members;
mod network;
mod oom;
pub(crate) mod size;
mod stats;
mod upper;

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use stockade_hosted::{MACHINE, Monitors, Owner};
use stockade_native::{Native, hosted};
use stockade_sandbox::protocol::{ContainerRequest, Empty, Method, ProcessEntry, Update};
use stockade_sandbox::{
    ContainerId, ContainerState, CreateRequest, DeleteMode, Error, ExecRequest, IsolationClass, OomWatch, Result,
    Runtime, SignalTarget, Stats, Status,
};
use stockade_vm_kernel::Name;
use stockade_vmm::hypervisor::trial;

use crate::share;

pub(crate) use members::SLOTS;
use oom::GuestOom;

const SIGKILL: i32 = 9;

/// Where the class finds what a guest starts from.
#[derive(Clone, Debug)]
pub struct Places {
    /// The data directory, below which guest kernels are.
    pub root: PathBuf,
    /// Where the agent's program may be, best first.
    pub agents: Vec<PathBuf>,
    /// The guest kernel of containers that name none.
    pub kernel: Name,
}

/// Isolation class `vm`.
///
/// Like [`Native`], it clones the calling process, which must have one thread, and keeps all state on disk.
#[derive(Debug)]
pub struct VmClass {
    state_root: PathBuf,
    native: Native,
    monitors: Monitors,
    places: Places,
}

impl VmClass {
    /// Keeps containers in directories below `state_root`.
    pub fn new(state_root: PathBuf, places: Places) -> Self {
        Self {
            native: Native::new(state_root.clone()),
            monitors: Monitors::new(state_root.clone()),
            state_root,
            places,
        }
    }

    /// Whether a container below a state root is of this class.
    pub fn has(state_root: &Path, id: &ContainerId) -> bool {
        hosted::state_dir(state_root, id).join(MACHINE).exists()
    }

    /// What guests run on here, or why none can: it runs ten instructions of one.
    pub fn detail(places: &Places) -> std::result::Result<String, String> {
        trial::of_host().map_err(|error| error.to_string())?;
        Self::check(places).map_err(|error| error.to_string())?;
        let kernel = launch::kernel(places, &places.kernel).map_err(|error| error.to_string())?;
        Ok(format!("guest kernel {}", kernel.release.as_deref().unwrap_or("of an unknown release")))
    }

    /// What is missing here that shows without a machine: KVM, a guest kernel, the agent's program.
    pub fn check(places: &Places) -> Result<()> {
        launch::device()?;
        launch::kernel(places, &places.kernel)?;
        initramfs::find(&places.agents).map(drop)
    }

    /// Tells the guest what its container's namespace got since the container was made.
    fn renew_network(&self, id: &ContainerId) -> Result<()> {
        let state = self.native.state(id)?;
        if state.status != Status::Created || Owner::of(&self.state_root, id)?.is_some() {
            return Ok(());
        }
        match network::renew(&hosted::state_dir(&self.state_root, id), state.pid)? {
            Some(network) => network::tell(&mut self.monitors.connect(id)?, network),
            None => Ok(()),
        }
    }

    /// Starts a container in the machine of another one.
    fn join(&self, id: &ContainerId, member: &ContainerId, mut request: CreateRequest) -> Result<u32> {
        let owner = members::to_join(&self.state_root, member)?;
        if self.monitors.stands_still(owner.id())? {
            return Err(Error::Paused { verb: "join" });
        }
        let on_host = members::spec_on_host(&request.spec);
        let spec = std::mem::replace(&mut request.spec, on_host);
        let joining = launch::Joining { id, owner: &owner, spec: &spec };
        hosted::create(&self.state_root, id, request, |stage, request| joining.launch(&stage, request))
    }
}

fn named(id: &ContainerId) -> ContainerRequest {
    ContainerRequest { id: id.to_string() }
}

/// An error of this class that names what it lacks.
fn lacking(what: impl Into<String>, why: impl Into<String>) -> Error {
    Error::Unsupported { class: IsolationClass::Vm, what: what.into(), why: why.into() }
}

impl Runtime for VmClass {
    fn class(&self) -> IsolationClass {
        IsolationClass::Vm
    }

    fn create(&self, id: &ContainerId, mut request: CreateRequest) -> Result<u32> {
        lacks::refuse(&request)?;
        if let Some(member) = request.sandbox.clone() {
            return self.join(id, &member, request);
        }
        let size = size::Size::of(&request.spec);
        let on_host = size.spec_on_host(&request.spec, share::servers_max(&request.spec, &request.rootfs));
        let spec = std::mem::replace(&mut request.spec, on_host);
        let start = launch::Start { id, places: &self.places, size, spec: &spec };
        let mut kept = None;
        let made =
            hosted::create(&self.state_root, id, request, |stage, request| start.launch(&stage, request, &mut kept));
        made.inspect_err(|_| kept.iter().for_each(network::Kept::clear))
    }

    fn start(&self, id: &ContainerId) -> Result<()> {
        self.renew_network(id)?;
        self.native.start(id)
    }

    fn exec(&self, id: &ContainerId, mut request: ExecRequest) -> Result<u32> {
        // It would hear of this only later.
        if self.monitors.stands_still(id)? {
            return Err(Error::Paused { verb: "exec in" });
        }
        lacks::refuse_exec(&request)?;
        let cgroup = hosted::live_cgroup(&self.state_root, id)?;
        request.process = hosted::with_defaults(&self.state_root, id, request.process)?;
        guest_spec::adapt_process(&mut request.process);
        stockade_hosted::exec(id, self.monitors.connect(id)?, &cgroup, request)
    }

    fn signal(&self, id: &ContainerId, signal: i32, target: SignalTarget) -> Result<()> {
        // The machine is its owner's, and its end needs nobody's consent. One that joined ends with its proxy.
        if signal == SIGKILL {
            return Ok(hosted::live_cgroup(&self.state_root, id)?.kill_all()?);
        }
        self.monitors.signal(id, signal, target)
    }

    fn state(&self, id: &ContainerId) -> Result<ContainerState> {
        self.native.state(id)
    }

    fn list(&self) -> Result<Vec<ContainerState>> {
        let mut all = self.native.list()?;
        all.retain(|state| Self::has(&self.state_root, &state.id));
        Ok(all)
    }

    /// First the machine, so that its guest hears of the gap, then the host's processes.
    fn pause(&self, id: &ContainerId) -> Result<()> {
        self.monitors.ask::<Empty>(id, Method::Pause, "pause")?;
        self.native.pause(id).inspect_err(|_| {
            if let Err(error) = self.monitors.order(id, Method::Resume, &named(id)) {
                tracing::warn!("cannot let the machine of {id} go on: {error}");
            }
        })
    }

    /// A machine that stands still in processes that do not was being paused by somebody who was killed.
    fn resume(&self, id: &ContainerId) -> Result<()> {
        let thawed = self.native.resume(id);
        self.monitors.order(id, Method::Resume, &named(id))?;
        thawed
    }

    fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()> {
        let resources_json = serde_json::to_vec(resources).map_err(|error| Error::Other(error.to_string()))?;
        // First where it can be refused: a machine keeps the memory that it has.
        self.monitors.order(id, Method::Update, &Update { id: id.to_string(), resources: resources_json })?;
        match Owner::of(&self.state_root, id)? {
            // The host holds the whole machine to its owner's limits.
            Some(_) => Ok(()),
            None => self.native.update(id, &size::update_on_host(resources)),
        }
    }

    fn stats(&self, id: &ContainerId) -> Result<Stats> {
        let owner = Owner::of(&self.state_root, id)?;
        let host = self.native.stats(owner.as_ref().unwrap_or(id))?;
        // What the host counts is all that can be had while the machine stands still.
        Ok(match (self.monitors.stats(id)?, owner) {
            (Some(inside), None) => stats::join(host, inside),
            (Some(inside), Some(_)) => stats::of_member(host, inside),
            (None, _) => host,
        })
    }

    fn processes(&self, id: &ContainerId) -> Result<Vec<u32>> {
        self.native.processes(id)
    }

    fn own_processes(&self, id: &ContainerId) -> Result<Option<Vec<ProcessEntry>>> {
        self.monitors.processes(id).map(Some)
    }

    fn watch_oom(&self, id: &ContainerId) -> Result<Box<dyn OomWatch>> {
        Ok(Box::new(GuestOom::watch(id, self.monitors.connect(id)?)?))
    }

    fn delete(&self, id: &ContainerId, mode: DeleteMode) -> Result<()> {
        let kept = network::Kept::read(&hosted::state_dir(&self.state_root, id))?;
        self.native.delete(id, mode)?;
        // Its taps are gone by now. Whoever is killed here leaves what the namespace's next guest clears away.
        kept.iter().for_each(network::Kept::clear);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stockade_hosted::SOCKET;

    use super::*;

    #[test]
    fn only_the_mark_makes_a_container_one_of_this_class() {
        let root = tempfile::tempdir().expect("directory");
        let id: ContainerId = "web".parse().expect("an id");
        let dir = hosted::state_dir(root.path(), &id);
        std::fs::create_dir(&dir).expect("make it");
        std::fs::write(dir.join(SOCKET), "").expect("write");
        assert!(!VmClass::has(root.path(), &id));
        std::fs::write(dir.join(MACHINE), "").expect("write");
        assert!(VmClass::has(root.path(), &id));
    }
}
