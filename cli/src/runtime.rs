//! From an isolation class to the code that serves it; the only place that knows them all.

use std::env::ArgsOs;
use std::path::{Path, PathBuf};

use stockade_kernel_monitor::KernelClass;
use stockade_native::{Native, seal};
use stockade_sandbox::{IsolationClass, Result, Runtime};
use stockade_vm_kernel::Name;
use stockade_vm_monitor::{Places, VmClass};

/// The guest agent's program, beside this one or where packages put what nobody calls.
const AGENT: &str = "stockade-agent";
const AGENT_DIRECTORY: &str = "/usr/libexec/stockade";

/// All classes.
pub const CLASSES: [IsolationClass; 3] = [IsolationClass::Native, IsolationClass::Kernel, IsolationClass::Vm];

/// How a class does its work on this host, where there is more than one way; or why it cannot. `root` is the data
/// directory, `kernel` the guest kernel of containers that name none.
pub fn detail(class: IsolationClass, root: &Path, kernel: &Name) -> std::result::Result<Option<String>, String> {
    match class {
        IsolationClass::Native => Ok(None),
        IsolationClass::Kernel => Ok(Some(match KernelClass::trap_path() {
            Ok(path) => format!("trap path {path}, {}", clocks()),
            Err(error) => format!("no trap path: {error}"),
        })),
        IsolationClass::Vm => VmClass::detail(&places(root, kernel)).map(Some),
    }
}

fn clocks() -> &'static str {
    if KernelClass::has_own_clocks() { "clocks of its own" } else { "the host's clocks (no time namespaces)" }
}

/// The error for a class that lacks something on this host which shows at once; `kernel` is the guest kernel that the
/// container will have.
pub fn check(class: IsolationClass, root: &Path, kernel: &Name) -> Result<()> {
    match class {
        IsolationClass::Native | IsolationClass::Kernel => Ok(()),
        IsolationClass::Vm => VmClass::check(&places(root, kernel)),
    }
}

/// Begins what every container of `class` needs, in the process that will make one.
pub fn prepare(class: IsolationClass) {
    match class {
        IsolationClass::Native | IsolationClass::Vm => {}
        IsolationClass::Kernel => KernelClass::prepare(),
    }
}

/// The service of `class`, with its state below `state_root` and data below `root`; `kernel` is the guest kernel of
/// containers that name none.
pub fn runtime(class: IsolationClass, state_root: &Path, root: &Path, kernel: Name) -> Box<dyn Runtime> {
    let state_root = state_root.to_path_buf();
    match class {
        IsolationClass::Native => Box::new(Native::new(state_root)),
        IsolationClass::Kernel => Box::new(KernelClass::new(state_root)),
        IsolationClass::Vm => Box::new(VmClass::new(state_root, places(root, &kernel))),
    }
}

fn places(root: &Path, kernel: &Name) -> Places {
    let beside = seal::directory();
    let agents = beside.into_iter().chain([PathBuf::from(AGENT_DIRECTORY)]).map(|dir| dir.join(AGENT)).collect();
    Places { root: root.to_owned(), agents, kernel: kernel.clone() }
}

/// What this process is, by the name that it was started with: `None` when it is no helper of a class, else the exit
/// status once it is done.
pub fn program(arguments: impl Fn() -> ArgsOs) -> Option<i32> {
    stockade_hosted::program(arguments())
        .or_else(|| stockade_kernel_monitor::program(arguments()))
        .or_else(|| stockade_vm_monitor::program(arguments()))
}
