//! proc(5): processes, and the system as the sandbox's limits let it be.
//!
//! [`root`] is the table of the top directory, [`pid`] that of a process, [`sys`] those of /proc/sys. Formats are those
//! of Linux 6.12, byte for byte; what the sandbox has not (interrupts, disks, swap) is there and empty.

mod cpuinfo;
mod lists;
mod load;
mod meminfo;
mod mounts;
mod net;
mod options;
mod pid;
mod root;
mod sockets;
mod sys;
mod sysvipc;
#[cfg(test)]
mod tests;
mod vmstat;

use alloc::string::String;
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

pub(super) use load::PRESSURE_TEXT;
pub use options::{HidePid, ProcOptions, Subset};
pub(crate) use pid::process_of_directory;
pub use pid::{OpenNamespace, ProcessReport, ThreadReport};

pub(super) use vmstat::{count_of, lines as vmstat_lines};

use super::synthetic::Synthetic;
use super::system::System;
use crate::task::Namespaces;
use crate::vfs::{Caching, Filesystem, Inode, StatFs};
use crate::{Errno, Kernel};

/// `PROC_SUPER_MAGIC`
const MAGIC: u32 = 0x9fa0;
/// `PROC_ROOT_INO`
const ROOT_NUMBER: u64 = 1;

/// A mounted proc.
#[derive(Debug)]
pub struct Proc {
    system: ProcSystem,
}

/// What the files of one mounted proc tell about.
#[derive(Clone, Debug)]
pub(crate) struct ProcSystem {
    system: System,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    options: Mutex<ProcOptions>,
    /// CPU time never goes back, even when a process ends unseen.
    shown: Mutex<crate::task::CpuTime>,
}

impl core::ops::Deref for ProcSystem {
    type Target = System;

    fn deref(&self) -> &System {
        &self.system
    }
}

impl super::synthetic::Subject for ProcSystem {
    fn time(&self) -> crate::vfs::Timestamp {
        self.boot_time().into()
    }
}

impl Proc {
    /// The proc of a container.
    pub fn new(kernel: &Arc<Kernel>, namespaces: &Arc<Namespaces>, options: ProcOptions) -> Arc<Self> {
        let system = System { kernel: kernel.clone(), namespaces: namespaces.clone(), file_bytes: 0 };
        let shared = Arc::new(Shared { options: Mutex::new(options), ..Shared::default() });
        Arc::new(Self { system: ProcSystem { system, shared } })
    }
}

impl Filesystem for Proc {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn root(&self) -> Arc<dyn Inode> {
        let node = match self.system.shared.options.lock().subset {
            Subset::Everything => &root::ROOT,
            Subset::Processes => &root::PROCESSES_ONLY,
        };
        Synthetic::inode(self.system.clone(), node, 0o555, ROOT_NUMBER)
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs::of(MAGIC))
    }

    fn options(&self) -> String {
        self.system.shared.options.lock().text()
    }

    fn caching(&self) -> Caching {
        Caching::Nothing
    }

    /// What is in the top directory stays as it was mounted.
    fn remount(&self, options: &[u8]) -> Result<(), Errno> {
        let old = *self.system.shared.options.lock();
        let new = old.with(options)?;
        if new.subset != old.subset {
            return Err(Errno::EINVAL);
        }
        *self.system.shared.options.lock() = new;
        Ok(())
    }
}
