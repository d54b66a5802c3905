//! Containers that exist: each verb goes to the class that made the container.

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use stockade_kernel_monitor::KernelClass;
use stockade_native::Native;
use stockade_sandbox::protocol::ProcessEntry;
use stockade_sandbox::{
    ContainerId, ContainerState, CreateRequest, DeleteMode, ExecRequest, IsolationClass, OomWatch, Result, Runtime,
    SignalTarget, Stats,
};
use stockade_vm_kernel::Name;
use stockade_vm_monitor::VmClass;

/// All containers below one state directory, of whatever class.
#[derive(Debug)]
pub struct Existing {
    state_root: PathBuf,
}

impl Existing {
    /// Those below `state_root`.
    pub fn new(state_root: PathBuf) -> Self {
        Self { state_root }
    }

    fn class_of(&self, id: &ContainerId) -> Box<dyn Runtime> {
        let class = match (VmClass::has(&self.state_root, id), KernelClass::has(&self.state_root, id)) {
            (true, _) => IsolationClass::Vm,
            (false, true) => IsolationClass::Kernel,
            (false, false) => IsolationClass::Native,
        };
        // What exists needs no data any more.
        crate::runtime::runtime(class, &self.state_root, Path::new(""), Name::default())
    }

    fn native(&self) -> Native {
        Native::new(self.state_root.clone())
    }
}

impl Runtime for Existing {
    /// The class whose state directory it is: all others add to that one's records.
    fn class(&self) -> IsolationClass {
        IsolationClass::Native
    }

    fn create(&self, id: &ContainerId, request: CreateRequest) -> Result<u32> {
        self.native().create(id, request)
    }

    fn start(&self, id: &ContainerId) -> Result<()> {
        self.class_of(id).start(id)
    }

    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<u32> {
        self.class_of(id).exec(id, request)
    }

    fn signal(&self, id: &ContainerId, signal: i32, target: SignalTarget) -> Result<()> {
        self.class_of(id).signal(id, signal, target)
    }

    fn state(&self, id: &ContainerId) -> Result<ContainerState> {
        self.class_of(id).state(id)
    }

    fn list(&self) -> Result<Vec<ContainerState>> {
        self.native().list()
    }

    fn pause(&self, id: &ContainerId) -> Result<()> {
        self.class_of(id).pause(id)
    }

    fn resume(&self, id: &ContainerId) -> Result<()> {
        self.class_of(id).resume(id)
    }

    fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()> {
        self.class_of(id).update(id, resources)
    }

    fn stats(&self, id: &ContainerId) -> Result<Stats> {
        self.class_of(id).stats(id)
    }

    fn processes(&self, id: &ContainerId) -> Result<Vec<u32>> {
        self.class_of(id).processes(id)
    }

    fn own_processes(&self, id: &ContainerId) -> Result<Option<Vec<ProcessEntry>>> {
        self.class_of(id).own_processes(id)
    }

    fn watch_oom(&self, id: &ContainerId) -> Result<Box<dyn OomWatch>> {
        self.class_of(id).watch_oom(id)
    }

    fn delete(&self, id: &ContainerId, mode: DeleteMode) -> Result<()> {
        self.class_of(id).delete(id, mode)
    }
}
