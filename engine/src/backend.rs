//! What the binary that links the engine provides: the classes, and its own way to become a supervisor.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci_spec::runtime::{Capabilities, LinuxSeccomp};
use stockade_sandbox::{IsolationClass, Runtime};

use crate::Directories;

/// The engine's view of its binary.
pub trait Backend {
    /// The service of a class, or the error that says why this build lacks it.
    fn runtime(&self, class: IsolationClass, directories: &Directories) -> stockade_sandbox::Result<Box<dyn Runtime>>;

    /// Docker's default system call filter, for a container of a class with these bounding capabilities. `None` where
    /// nothing of the container makes calls to the host's kernel.
    fn default_seccomp(&self, class: IsolationClass, bounding: &Capabilities) -> Option<LinuxSeccomp>;

    /// A supervisor waits to be told which container of a class it keeps: what every one needs may be begun.
    fn prepare(&self, class: IsolationClass);

    /// A supervisor has nothing to do for a while and gives back what it does not need.
    fn rest(&self);

    /// How to start the program that calls [`supervise_main`](crate::supervise_main).
    fn supervisor(&self) -> SupervisorCommand;
}

/// A program and its leading arguments; the engine appends its own.
#[derive(Debug)]
pub struct SupervisorCommand {
    /// The program, for example `/proc/self/exe`.
    pub program: PathBuf,
    /// What must be open while the program is started.
    pub held: Option<OwnedFd>,
    /// For example the hidden verb.
    pub arguments: Vec<OsString>,
    /// A variable of its environment.
    pub environment: Option<(OsString, OsString)>,
}
