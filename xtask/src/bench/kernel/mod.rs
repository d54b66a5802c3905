//! Class `kernel` beside programs of the host and Debian's runsc (gVisor on ptrace).

mod calls;
mod many;
mod memory;
mod plot;
mod program;
mod programs;
mod start;

pub use calls::{blocked, on_all_cpus, on_one_cpu};
pub use many::run as many;
pub use memory::run as memory;
pub use plot::save as save_plot;
pub use programs::run as programs;
pub use start::run as start;

/// A process of the host, in no container.
const NATIVE: &str = "native";
/// Ours.
const KERNEL: &str = "kernel";
/// Debian's gVisor.
const RUNSC: &str = "runsc";
