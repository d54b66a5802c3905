//! What the engine needs of this binary.

use std::os::fd::AsRawFd;

use oci_spec::runtime::{Capabilities, LinuxSeccomp};
use stockade_engine::{Backend, Directories, SupervisorCommand};
use stockade_native::{rest, seal};
use stockade_sandbox::{IsolationClass, Result, Runtime};
use stockade_vm_kernel::Name;

use super::SUPERVISE;
use crate::runtime;

/// This binary.
#[derive(Clone, Copy, Debug)]
pub struct Binary;

impl Backend for Binary {
    fn runtime(&self, class: IsolationClass, directories: &Directories) -> Result<Box<dyn Runtime>> {
        // A container's record names its guest kernel.
        let kernel = Name::default();
        Ok(runtime::runtime(class, &directories.class(&class.to_string()), &directories.root, kernel))
    }

    fn default_seccomp(&self, class: IsolationClass, capabilities: &Capabilities) -> Option<LinuxSeccomp> {
        match class {
            IsolationClass::Native | IsolationClass::Vm => Some(stockade_native::seccomp::docker_default(capabilities)),
            // Its kernel is no Linux, and takes no filter.
            IsolationClass::Kernel => None,
        }
    }

    fn prepare(&self, class: IsolationClass) {
        runtime::prepare(class);
    }

    fn rest(&self) {
        rest::keep_little();
        rest::rest();
    }

    fn supervisor(&self) -> SupervisorCommand {
        let environment = seal::directory().map(|dir| (seal::DIRECTORY_VARIABLE.into(), dir.into()));
        // A supervisor from a sealed view need not start itself again. Whoever closes a view last waits for all
        // processors: it goes with this, while the supervisor works, and not at this process's end.
        let held = seal::view();
        let program =
            held.as_ref().map_or("/proc/self/exe".into(), |view| format!("/proc/self/fd/{}", view.as_raw_fd()).into());
        SupervisorCommand { program, held, arguments: vec![SUPERVISE.into()], environment }
    }
}
