//! The three isolation classes (ARCHITECTURE.md, "Classes").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The bundle annotation that chooses a class; it ranks below `--isolation` and above the config file.
pub const ANNOTATION: &str = "dev.stockade.isolation";
/// The bundle annotation that names the container whose sandbox a new one joins.
pub const SANDBOX_ANNOTATION: &str = "dev.stockade.sandbox";
/// The bundle annotation that asks for a trace of the container's system calls: `stderr`, or `file` for `strace.log` in
/// the bundle.
pub const STRACE_ANNOTATION: &str = "dev.stockade.strace";

/// The annotation that names the guest kernel of a container of class `vm`.
pub const GUEST_KERNEL_ANNOTATION: &str = "dev.stockade.guest-kernel";
/// What the names of those network interfaces begin with that a class has put into a container's namespace for itself.
/// What goes through them is counted at the container's own.
pub const OWN_INTERFACES: &str = "vmtap";

/// The wall between a container and its host, chosen per container and never changed silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IsolationClass {
    /// The host kernel's own walls: namespaces, cgroups, seccomp, capabilities.
    Native,
    /// Stockade's own kernel in user space.
    Kernel,
    /// A Linux guest on Stockade's own VMM.
    Vm,
}

/// A name that is none of the three classes.
#[derive(Debug, thiserror::Error)]
#[error("unknown isolation class {0:?}: choose native, kernel or vm")]
pub struct UnknownClass(pub String);

impl FromStr for IsolationClass {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        match name {
            "native" => Ok(Self::Native),
            "kernel" => Ok(Self::Kernel),
            "vm" => Ok(Self::Vm),
            other => Err(UnknownClass(other.to_owned())),
        }
    }
}

impl fmt::Display for IsolationClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Kernel => "kernel",
            Self::Vm => "vm",
        })
    }
}
