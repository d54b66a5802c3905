//! What the engine needs of this binary.

use oci_spec::runtime::{Capabilities, LinuxSeccomp};
use stockade_engine::{Backend, Directories, SupervisorCommand};
use stockade_sandbox::{IsolationClass, Result, Runtime};

use super::SUPERVISE;
use crate::runtime;

/// This binary.
#[derive(Clone, Copy, Debug)]
pub struct Binary;

impl Backend for Binary {
    fn runtime(&self, class: IsolationClass, directories: &Directories) -> Result<Box<dyn Runtime>> {
        runtime::runtime(class, &directories.class(&class.to_string()))
    }

    fn default_seccomp(&self, capabilities: &Capabilities) -> LinuxSeccomp {
        stockade_native::seccomp::docker_default(capabilities)
    }

    fn supervisor(&self) -> SupervisorCommand {
        SupervisorCommand { program: "/proc/self/exe".into(), arguments: vec![SUPERVISE.into()] }
    }
}
