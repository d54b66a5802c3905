//! The sandbox: one kernel and its containers.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use oci_spec::runtime::Spec;
use stockade_kernel::Kernel;
use stockade_kernel::platform::Wake;
use stockade_kernel::syscall::{absent_calls, trapped_calls};
use stockade_kernel_platform::{HostMachine, Options, TrapPath};
use stockade_native::gate;
use stockade_sandbox::protocol::{CreateContainer, ExecProcess, ProcessEntry};
use stockade_sandbox::{Error, Result, Stats};

use super::container::{Container, Luggage, Place};
use super::server::Endings;
use super::stream::Stream;
use super::{capacity, namespaces};
use crate::settings::Settings;

/// Most bytes of tmpfs files and shared memory where no limit is set: sparse until used.
const POOL_BYTES_MAX: u64 = 1 << 40;

/// A kernel and what runs on it.
#[derive(Debug)]
pub(super) struct Sandbox {
    machine: Arc<HostMachine>,
    kernel: Arc<Kernel>,
    containers: BTreeMap<String, Container>,
    /// Set by the first container: a sandbox without containers is over only after it had one.
    began: bool,
    nice: i32,
    /// Set when its proxy was gone before it came.
    lost_first: bool,
}

/// What a new container wants the loop to watch.
#[derive(Debug)]
pub(super) struct Watched {
    /// Streams with news.
    pub streams: Vec<Arc<Stream>>,
    /// A file server's connection, whose end is the sandbox's.
    pub file_server: Option<OwnedFd>,
}

/// Passes the machine's timer on.
#[derive(Debug)]
struct Rings(Arc<Kernel>);

impl Wake for Rings {
    fn wake(&self) {
        self.0.timer_expired();
    }
}

impl Sandbox {
    /// Starts the machine, its applications in the control groups that the gate gives, and an empty kernel.
    pub(super) fn start(settings: &Settings, gate: &OwnedFd) -> std::result::Result<Self, String> {
        let tasks_max = capacity::claim(settings.threads_max)?;
        let (trapped_calls, absent_calls) = (trapped_calls(), absent_calls());
        let groups = gate::pass(gate).map_err(|error| error.to_string())?.into();
        let options = Options { pool_bytes_max: POOL_BYTES_MAX, trapped_calls, absent_calls, groups };
        let machine = match settings.path {
            Some(path) => HostMachine::start_on(&options, path),
            None => HostMachine::start(&options),
        };
        let machine = machine.map_err(|error| error.to_string())?;
        let kernel = Kernel::new(machine.clone());
        kernel.limits().set_tasks_max(tasks_max);
        machine.on_timer(Arc::new(Rings(kernel.clone())));
        let (containers, nice) = (BTreeMap::new(), settings.nice);
        Ok(Self { machine, kernel, containers, began: false, nice, lost_first: false })
    }

    /// How applications' calls come.
    pub(super) fn trap_path(&self) -> TrapPath {
        self.machine.path()
    }

    /// Makes a container.
    pub(super) fn create(
        &mut self,
        request: &CreateContainer,
        descriptors: Vec<OwnedFd>,
        endings: &Arc<Endings>,
    ) -> Result<Watched> {
        if self.containers.contains_key(&request.id) {
            return Err(Error::AlreadyExists);
        }
        if self.lost_first {
            return Err(Error::Other("the container's proxy is gone".to_owned()));
        }
        let spec: Spec = serde_json::from_slice(&request.spec).map_err(|e| Error::InvalidConfig(e.to_string()))?;
        let luggage = Luggage::new(&request.descriptors, descriptors)?;
        let file_server = luggage.file_server.as_ref().map(OwnedFd::try_clone).transpose();
        let file_server = file_server.map_err(|error| Error::os("copy the file server's connection", error))?;
        let watched = Watched { streams: luggage.streams(), file_server };
        let beside = request.beside.as_deref().map(|id| self.container(id)).transpose()?;
        let namespaces = namespaces::make(&spec, beside.map(Container::namespaces));
        let place = Place { kernel: &self.kernel, machine: &self.machine, namespaces, nice: self.nice };
        let container = Container::new(place, request, &spec, luggage, endings)?;
        self.began = true;
        self.containers.insert(request.id.clone(), container);
        Ok(watched)
    }

    /// Runs one more process.
    pub(super) fn exec(
        &mut self,
        request: &ExecProcess,
        descriptors: Vec<OwnedFd>,
        endings: &Arc<Endings>,
    ) -> Result<Vec<Arc<Stream>>> {
        let process = serde_json::from_slice(&request.spec).map_err(|e| Error::InvalidConfig(e.to_string()))?;
        let luggage = Luggage::new(&request.descriptors, descriptors)?;
        let watched = luggage.streams();
        let container = self.containers.get_mut(&request.id).ok_or(Error::NotRunning)?;
        container.exec(&request.process, &process, request.user.as_deref(), luggage, endings)?;
        Ok(watched)
    }

    /// Lets a container's init run.
    pub(super) fn start_container(&self, id: &str) -> Result<()> {
        self.container(id)?.start();
        Ok(())
    }

    /// Sends a signal to one process, or to all of a container.
    pub(super) fn signal(&self, id: &str, process: &str, signal: i32, all: bool) -> Result<()> {
        let container = self.container(id)?;
        if all { container.signal_all(signal) } else { container.signal(process, signal) }
    }

    /// Tells a process's terminal its size.
    pub(super) fn resize(&self, id: &str, process: &str, rows: u32, columns: u32) -> Result<()> {
        self.container(id)?.resize(process, rows, columns)
    }

    /// Changes a container's limits; the resources are JSON.
    pub(super) fn update(&self, id: &str, resources: &[u8]) -> Result<()> {
        let resources = serde_json::from_slice(resources).map_err(|e| Error::InvalidConfig(e.to_string()))?;
        self.container(id)?.update(&resources);
        Ok(())
    }

    /// A container's processes, as ps(1) tells of them.
    pub(super) fn processes(&self, id: &str) -> Result<Vec<ProcessEntry>> {
        Ok(self.container(id)?.processes())
    }

    /// What a container uses.
    pub(super) fn stats(&self, id: &str) -> Result<Stats> {
        Ok(self.container(id)?.stats())
    }

    /// Nobody on the host stands for this process any more.
    pub(super) fn abandon(&mut self, id: &str, process: &str) {
        const SIGKILL: i32 = 9;
        self.lost_first |= !self.began;
        // It may have ended just now.
        let _ = self.signal(id, process, SIGKILL, process.is_empty());
    }

    /// A process ended. With its init, the container is over.
    pub(super) fn forget(&mut self, id: &str, process: &str) {
        if !process.is_empty() {
            self.containers.get_mut(id).into_iter().for_each(|container| container.forget(process));
        } else if let Some(container) = self.containers.remove(id) {
            container.end();
        }
    }

    /// Whether all containers have ended.
    pub(super) fn is_over(&self) -> bool {
        self.began && self.containers.is_empty()
    }

    /// Has nothing to run any more.
    pub(super) fn end(&self) {
        self.machine.kill_all();
    }

    /// Runs the calls that were woken on this thread.
    pub(super) fn run_woken(&self) {
        self.kernel.run_woken();
    }

    fn container(&self, id: &str) -> Result<&Container> {
        self.containers.get(id).ok_or(Error::NotRunning)
    }
}
